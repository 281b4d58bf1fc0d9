/** Bounded concurrency over a list. */

/**
 * Runs `task` for each item, at most `width` at a time. The first failure is thrown; those that run go on, and no other
 * begins.
 */
export async function inParallel<Item>(
  items: Iterable<Item>,
  width: number,
  task: (item: Item) => Promise<void>,
): Promise<void> {
  const open = new Set<Promise<void>>()
  for (const item of items) {
    const running: Promise<void> = task(item).then(() => void open.delete(running))
    running.catch(() => {}) // a failed one stays in `open`, so the next race or the last all throws it
    open.add(running)
    if (open.size >= width) await Promise.race(open)
  }
  await Promise.all(open)
}
