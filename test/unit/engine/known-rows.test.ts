/** Rows that were picked by known numbers are put back, whatever their order, without a matrix as large as both sides. */
import { expect, test } from 'vitest'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { selectRows } from '../../../engine/gradients/known-rows.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder, type Target } from '../../../engine/graph/graph-builder.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { seededRandom } from '../../../protocols/core/random.ts'

const size = 1200
const random = seededRandom(1)
const each = Array.from({ length: size }, (_, row) => row)

const picked: Record<string, number[]> = {
  'neighbours from the middle': each.slice(5, -9),
  'every third': each.filter((row) => row % 3 === 1),
  'every second up to the last': each.filter((row) => row % 2 === 1),
  'all, backwards': each.toReversed(),
  'half of them in no order': each.toSorted(() => random.next() - 0.5).slice(size / 2),
  'mirrored edges': [...each.slice(1, 5).toReversed(), ...each, ...each.slice(-5, -1).toReversed()],
  'repeated edges': [0, 0, 0, ...each, size - 1, size - 1],
  'what the edges of a graph read': Array.from({ length: 2 * size }, () => random.integer(size)),
  nothing: [],
}

/** What the rules may count on: the graphs for both are run on a CPU here. */
const targets: readonly Target[] = [
  { device: 'cpu', channelBlock: undefined, isSameByThreads: false },
  { device: 'gpu', channelBlock: undefined, isSameByThreads: false },
]

test.each(Object.entries(picked))('%s', async (_name, rows) => {
  const [before, after] = [2, 3]
  const given = Float32Array.from({ length: before * rows.length * after }, () => random.integer(100))
  const expected = new Float32Array(before * size * after)
  for (const [index, value] of given.entries()) {
    const [outer, inner] = [Math.floor(index / (rows.length * after)), index % after]
    const row = rows[Math.floor(index / after) % rows.length]!
    expected[(outer * size + row) * after + inner]! += value
  }
  const native = await openNativeBackend({ threads: 1 })
  for (const target of targets) {
    const f = new Formulas(new GraphBuilder(18, target))
    const shape = [before, rows.length, after]
    const dy = f.builder.input('dy', { dtype: 'float32', shape })
    const model = writeModel(f.builder.finish({ dx: selectRows(f, dy, 1, rows, size) }))
    expect(model.length).toBeLessThan(64 * size)
    const graph = await native.compile(model)
    const { dx } = await graph.run({ dy: { dtype: 'float32', shape, data: given } })
    await graph.release()
    expect(dx!.data).toEqual(expected)
  }
})
