import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { glyphs } from '../../../data/glyphs.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('one seed gives the same images everywhere', () => {
  const { train, validation } = glyphs({ seed: 1, train: 300, validation: 50 })
  expect(sha256(train.fields.x.data as Uint8Array)).toMatchInlineSnapshot(
    `"c1097e934e71c9c6e9249dca8636063f2b492a0a5ad08810ea8fdae4d7f077f5"`,
  )
  expect(sha256(validation.fields.x.data as Uint8Array)).toMatchInlineSnapshot(
    `"e0ac59b3942a5d8039114bbbf5d0d6b654e28030813b4502d507b09a67b5a591"`,
  )
})

test('a sample does not depend on how many are made, and differs between seeds and splits', () => {
  const many = glyphs({ seed: 1, train: 40, validation: 40 })
  const few = glyphs({ seed: 1, train: 10, validation: 10 })
  const other = glyphs({ seed: 2, train: 10, validation: 10 })
  const start = (split: typeof many.train) => split.fields.x.data.subarray(0, 10 * 784)
  expect(start(few.train)).toEqual(start(many.train))
  expect(start(other.train)).not.toEqual(start(many.train))
  expect(start(many.validation)).not.toEqual(start(many.train))
})

test('the classes come up evenly, and every image has ink in its middle and paper at its rim', () => {
  const { train, classes } = glyphs({ seed: 3, train: 2000, validation: 1 })
  const counts = new Array<number>(classes).fill(0)
  for (const label of train.fields.y.data) counts[label]!++
  expect(classes).toBe(10)
  // 200 expected; 4 standard deviations are 54
  for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(54)

  const pixels = train.fields.x.data as Uint8Array
  for (let i = 0; i < train.count; i++) {
    const image = pixels.subarray(i * 784, (i + 1) * 784)
    const ink = image.reduce((sum, value) => sum + Number(value > 128), 0)
    expect(ink, `image ${i}`).toBeGreaterThan(40)
    expect(ink, `image ${i}`).toBeLessThan(350)
  }
})

test('a nearest-mean classifier finds most classes but by far not all, so there is something to learn', () => {
  const { train, validation, classes } = glyphs({ seed: 1, train: 2000, validation: 500 })
  const means = Array.from({ length: classes }, () => new Float64Array(784))
  const counts = new Array<number>(classes).fill(0)
  for (let i = 0; i < train.count; i++) {
    const label = train.fields.y.data[i]!
    counts[label]!++
    for (let k = 0; k < 784; k++) means[label]![k]! += train.fields.x.data[i * 784 + k]!
  }
  const distance = (i: number, label: number) =>
    means[label]!.reduce((sum, total, k) => {
      const difference = total / counts[label]! - validation.fields.x.data[i * 784 + k]!
      return sum + difference * difference
    }, 0)
  let correct = 0
  for (let i = 0; i < validation.count; i++) {
    const nearest = means.map((_, label) => distance(i, label))
    if (nearest.indexOf(Math.min(...nearest)) === validation.fields.y.data[i]) correct++
  }
  expect(correct / validation.count).toBeGreaterThan(0.5)
  expect(correct / validation.count).toBeLessThan(0.8)
})
