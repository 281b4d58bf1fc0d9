import { describe, expect, test } from 'vitest'
import { sampleAt } from '../../../data/sampler.ts'

const epochOf = (seed: number, count: number, epoch: number): number[] =>
  Array.from({ length: count }, (_, i) => sampleAt(seed, count, epoch * count + i))

/** Chi-square of equally likely cells, as standard normal deviates (Wilson and Hilferty 1931). */
function chiSquareDeviates(observed: readonly number[]): number {
  const cells = observed.length
  const expected = observed.reduce((sum, n) => sum + n, 0) / cells
  const chi = observed.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
  const freedom = cells - 1
  const shrink = 2 / (9 * freedom)
  return (Math.cbrt(chi / freedom) - (1 - shrink)) / Math.sqrt(shrink)
}

describe('the sample order', () => {
  test('meets every sample of an epoch exactly once, for counts around powers of two', () => {
    for (const count of [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 4096, 4097]) {
      for (const epoch of [0, 1, 7]) {
        const sorted = epochOf(42, count, epoch).sort((a, b) => a - b)
        expect(sorted, `count ${count}, epoch ${epoch}`).toEqual(Array.from({ length: count }, (_, i) => i))
      }
    }
  })

  test('is another one in each epoch and for each seed, and the same for the same seed', () => {
    const orders = [epochOf(1, 500, 0), epochOf(1, 500, 1), epochOf(2, 500, 0), epochOf(1, 500, 2 ** 33)]
    for (const [i, a] of orders.entries()) {
      for (const b of orders.slice(i + 1)) {
        // two random permutations agree in one place on average
        expect(a.filter((index, place) => index === b[place]).length).toBeLessThan(8)
      }
    }
    expect(epochOf(1, 500, 0)).toEqual(orders[0])
  })

  test('puts every sample in every place equally often', () => {
    for (const count of [6, 10, 40]) {
      const table = new Array<number>(count * count).fill(0)
      const epochs = 200 * count
      for (let seed = 0; seed < 4; seed++) {
        for (let epoch = 0; epoch < epochs; epoch++) {
          for (const [place, index] of epochOf(seed, count, epoch).entries()) table[place * count + index]!++
        }
      }
      expect(Math.abs(chiSquareDeviates(table)), `count ${count}`).toBeLessThan(3.5)
    }
  })

  test('makes every pair of neighbours equally often', () => {
    const count = 12
    const pairs = new Map<string, number>()
    for (let a = 0; a < count; a++) for (let b = 0; b < count; b++) if (a !== b) pairs.set(`${a},${b}`, 0)
    for (let epoch = 0; epoch < 6000; epoch++) {
      const key = [0, 1].map((place) => sampleAt(9, count, epoch * count + place)).join()
      pairs.set(key, pairs.get(key)! + 1)
    }
    expect(Math.abs(chiSquareDeviates([...pairs.values()]))).toBeLessThan(3.5)
  })

  test('reaches positions far beyond 32 bits', () => {
    const index = sampleAt(3, 4_294_967_295, 2 ** 52 + 12_345)
    expect(index).toBeGreaterThanOrEqual(0)
    expect(index).toBeLessThan(4_294_967_295)
    expect(Number.isInteger(index)).toBe(true)
  })

  test('stays the same from release to release, since peers of different builds share leases', () => {
    expect(Array.from({ length: 8 }, (_, i) => sampleAt(1, 12_000, i))).toMatchInlineSnapshot(`
      [
        53,
        4450,
        8542,
        2745,
        10778,
        2673,
        11504,
        3676,
      ]
    `)
  })
})
