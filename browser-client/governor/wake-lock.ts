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
  /** What is asked for and given back follows one another: two requests at once would leave a lock that nobody has. */
  #settled: Promise<void> = Promise.resolve()

  constructor(window: Window) {
    this.#window = window
    window.document.addEventListener('visibilitychange', () => this.#change())
  }

  /** Whether the screen shall stay on. */
  want(isWanted: boolean): void {
    this.#isWanted = isWanted
    this.#change()
  }

  #change(): void {
    this.#settled = this.#settled.then(() => this.#settle())
  }

  /** Brings the lock to what is wanted now. Never rejects. */
  async #settle(): Promise<void> {
    const isNeeded = this.#isWanted && !this.#window.document.hidden
    if (!isNeeded) {
      const lock = this.#lock
      this.#lock = undefined
      await lock?.release().catch(() => {}) // the browser was quicker
    } else if (this.#lock === undefined || this.#lock.released) {
      // the type says that every browser has it; over plain http none does
      const wakeLock: WakeLock | undefined = this.#window.navigator.wakeLock
      this.#lock = await wakeLock?.request('screen').catch(() => undefined)
    }
  }
}
