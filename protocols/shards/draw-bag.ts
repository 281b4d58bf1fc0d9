/**
 * A set of names from which a random one that meets a condition can be drawn. Adding and deleting take constant time:
 * members stand in a list, and a deleted one's place is taken by the last. So the order is arbitrary, but the same for
 * the same calls.
 */

import type { Random } from '../core/random.ts'

export class DrawBag {
  readonly #members: string[] = []
  readonly #places = new Map<string, number>()

  add(member: string): void {
    if (this.#places.has(member)) return
    this.#places.set(member, this.#members.length)
    this.#members.push(member)
  }

  delete(member: string): void {
    const place = this.#places.get(member)
    if (place === undefined) return
    const last = this.#members.pop()!
    this.#places.delete(member)
    if (last === member) return
    this.#members[place] = last
    this.#places.set(last, place)
  }

  /** The first member from a random place on that `isFit`, if there is one; it stays in the bag. */
  draw(random: Random, isFit: (member: string) => boolean): string | undefined {
    const count = this.#members.length
    if (count === 0) return undefined
    const start = random.integer(count)
    for (let i = 0; i < count; i++) {
      const member = this.#members[(start + i) % count]!
      if (isFit(member)) return member
    }
    return undefined
  }
}
