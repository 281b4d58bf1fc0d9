/**
 * A browser may let a page keep nothing: site data are blocked, the disk is full, the window is private. Each browser
 * says so in its own way, some by throwing where a promise is promised. To a tab it is all the same: it works as at its
 * first visit, and is forgotten when it closes.
 */

/** What `ask` comes to, or undefined where the browser refuses. */
export async function unlessRefused<Answer>(ask: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await ask()
  } catch {
    return undefined
  }
}
