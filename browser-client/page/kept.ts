/**
 * Small things the page remembers in this browser: settings, consent, theme, the day's data.
 *
 * Storage may be missing, full or forbidden (private windows, a donor's policy). The page then works as in its first
 * visit: reads give `undefined`, writes are dropped. Nothing that other peers rely on is kept here.
 */

/** Reads and writes JSON by name. */
export interface Kept {
  /** `undefined` when there is nothing, or nothing readable. */
  read(name: KeptName): unknown
  write(name: KeptName, value: unknown): void
  forget(name: KeptName): void
}

export type KeptName = 'settings' | 'consent' | 'theme' | 'data-day'

const prefix = 'starling/'

/** What is used of a browser's `localStorage`. */
export type TextStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

/** Keeps things in `storage`: the page's `localStorage`, or `undefined` where the browser has none for it. */
export function keptIn(storage: TextStorage | undefined): Kept {
  return {
    read(name) {
      const text = attempt(() => storage?.getItem(prefix + name))
      return text == null ? undefined : attempt(() => JSON.parse(text) as unknown)
    },
    write(name, value) {
      attempt(() => storage?.setItem(prefix + name, JSON.stringify(value)))
    },
    forget(name) {
      attempt(() => storage?.removeItem(prefix + name))
    },
  }
}

/** The page's own storage; reading the property itself throws where the donor forbids it. */
export function ownStorage(): Storage | undefined {
  return attempt(() => window.localStorage)
}

/** What `action` returns, or `undefined` when storage refuses or holds no JSON: see the header. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch {
    return undefined
  }
}
