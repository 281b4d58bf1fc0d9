/**
 * Programmer errors. A failed assertion is a bug in Starling: it is never caught, and stops the worker it happens in.
 */

/** @throws {Error} when `condition` is false. Not for bad input: that is a {@link SwarmError}. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`bug: ${message}`)
}

/** Closes a `switch` over a union: the compiler rejects a missing case. */
export function unreachable(value: never): never {
  throw new Error(`bug: unreachable case ${JSON.stringify(value)}`)
}
