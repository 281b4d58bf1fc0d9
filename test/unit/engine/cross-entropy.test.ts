/** Softmax cross-entropy, its labels found by comparing and by their place: one value, to the bit. */
import { beforeAll, expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder, type Target } from '../../../engine/graph/graph-builder.ts'
import type { CrossEntropyOptions } from '../../../engine/loss/cross-entropy.ts'
import { addLoss } from '../../../engine/loss/loss.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { seededRandom } from '../../../protocols/core/random.ts'

const classes = 80
/** The first and the last class, one between, and three that are none. */
const labels = [0, classes - 1, 17, -100, classes, -1]
const random = seededRandom(5)
const logits = Float32Array.from({ length: labels.length * classes }, () => 3 * random.normal())

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

async function lossOn(device: Target['device'], options: CrossEntropyOptions) {
  const f = new Formulas(new GraphBuilder(18, { device }))
  const fed = {
    z: { dtype: 'float32', shape: [labels.length, classes], data: logits },
    y: { dtype: 'int32', shape: [labels.length], data: Int32Array.from(labels) },
  } as const
  const [z, y] = [f.builder.input('z', fed.z), f.builder.input('y', fed.y)]
  const { mean, gradient } = addLoss(f, 'softmax_cross_entropy', z, y, options)
  const graph = f.builder.finish({ mean, gradient })
  const executable = await backend.compile(writeModel(graph))
  const results = await executable.run(fed)
  await executable.release()
  const isFound = graph.nodes.some(({ opType }) => opType === 'ScatterElements')
  return { isFound, mean: results.mean!.data[0]!, gradient: [...results.gradient!.data] }
}

/** In float64. A label that is no class has nothing taken off. */
function expected({ ignoreIndex, labelSmoothing = 0 }: CrossEntropyOptions) {
  const counted = labels.filter((label) => label !== ignoreIndex).length
  let mean = 0
  const gradient = labels.flatMap((label, row) => {
    const z = [...logits.subarray(row * classes, (row + 1) * classes)]
    const top = Math.max(...z)
    const total = z.reduce((sum, value) => sum + Math.exp(value - top), 0)
    const picked = label >= 0 && label < classes ? z[label]! - top : 0
    const spread = (labelSmoothing / classes) * z.reduce((sum, value) => sum + value - top, 0)
    if (label === ignoreIndex) return z.map(() => 0)
    mean += (Math.log(total) - (1 - labelSmoothing) * picked - spread) / counted
    return z.map((value, index) => {
      const wanted = (index === label ? 1 - labelSmoothing : 0) + labelSmoothing / classes
      return (Math.exp(value - top) / total - wanted) / counted
    })
  })
  return { mean, gradient }
}

it.each<CrossEntropyOptions>([{}, { ignoreIndex: -100 }, { ignoreIndex: 17, labelSmoothing: 0.2 }])(
  'is the same by the place of a label as by comparing, and both are right: %o',
  async (options) => {
    const [found, compared] = [await lossOn('cpu', options), await lossOn('gpu', options)]
    expect([found.isFound, compared.isFound]).toEqual([true, false])
    expect(found).toEqual({ ...compared, isFound: true })
    const { mean, gradient } = expected(options)
    expect(found.mean).toBeCloseTo(mean, 5)
    for (const [index, value] of gradient.entries()) expect(found.gradient[index]).toBeCloseTo(value, 7)
  },
)
