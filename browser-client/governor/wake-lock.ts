/**
 * Keeps the screen on while it is wanted: the Screen Wake Lock API, asked for only when the donor set it so.
 *
 * A browser takes the lock back whenever the tab leaves the screen, so it is asked for again when the tab returns.
 * Where it is refused (no such API, power saving), the screen goes dark as always and nothing else changes.
 */

export class ScreenAwake {
  readonly #window: Window
  #isWanted = false
  #lock: WakeLockSentinel | undefined

  constructor(window: Window) {
    this.#window = window
    window.document.addEventListener('visibilitychange', () => void this.#settle())
  }

  /** Whether the screen shall stay on. */
  want(isWanted: boolean): void {
    this.#isWanted = isWanted
    void this.#settle()
  }

  async #settle(): Promise<void> {
    const isNeeded = this.#isWanted && !this.#window.document.hidden
    if (!isNeeded) {
      const lock = this.#lock
      this.#lock = undefined
      await lock?.release()
    } else if (this.#lock === undefined || this.#lock.released) {
      // the type says that every browser has it; over plain http none does
      const wakeLock: WakeLock | undefined = this.#window.navigator.wakeLock
      this.#lock = await wakeLock?.request('screen').catch(() => undefined)
      if (!this.#isWanted) await this.#settle()
    }
  }
}
