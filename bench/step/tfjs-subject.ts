/**
 * A subject of the step benchmark: the same models written for TensorFlow.js on its WebAssembly backend, one thread
 * (its Node build has no more). `how`: `as shipped`, or `tuned`, where the gradient of a matrix product transposes its
 * operands first: the kernel that TF.js takes for a transposed product is 10 to 30 times slower. A CNN cannot be
 * trained there: the kernel for a convolution's weight gradient is missing. Nor can an embedding, whose gradient has
 * none either; it is a product with one-hot rows.
 */
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import * as wasm from '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-core/dist/register_all_gradients.js'
import { answer } from '../child.ts'
import type { SubjectCalls } from './calls.ts'
import { cases, gptSizes, mlpWidths } from './cases.ts'
import { peakMemoryMb, playTurn, settlingSteps } from './subject.ts'

let step: () => Promise<unknown> = async () => undefined

answer<SubjectCalls>({
  open: async ({ model, how }) => {
    if (model !== 'mlp' && model !== 'gpt') return { absent: 'its WASM backend cannot train it', works: [] }
    const directory = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))
    // its module asks for this, which bundles of ES modules do not have
    Object.assign(globalThis, { __dirname: directory })
    wasm.setWasmPaths(`${directory}/`)
    await tf.setBackend('wasm')
    if (how === 'tuned') tuneProducts()
    const { loss, variables } = model === 'mlp' ? perceptron() : gpt()
    step = () => sgdStep(loss, variables)
    for (let index = 0; index < settlingSteps; index++) await step()
    return { works: ['step'], memoryMb: peakMemoryMb() }
  },
  run: (turn) => playTurn(turn, step),
})

interface Model {
  loss: () => tf.Scalar
  variables: tf.Variable[]
}

/** One step of plain SGD, until its loss is here. */
async function sgdStep(loss: Model['loss'], variables: Model['variables']): Promise<void> {
  const { value, grads } = tf.variableGrads(loss, variables)
  for (const variable of variables) {
    tf.tidy(() => variable.assign(tf.sub(variable, tf.mul(grads[variable.name]!, 1e-4))))
  }
  await value.data()
  tf.dispose([value, grads])
}

/**
 * dA = dY·Bᵀ, dB = Aᵀ·dY with transposes made first. Products with transposed operands do not occur in these models.
 */
function tuneProducts(): void {
  tf.unregisterGradient('BatchMatMul')
  tf.registerGradient({
    kernelName: 'BatchMatMul',
    inputsToSave: ['a', 'b'],
    gradFunc: (dy, saved) => {
      const [a, b] = saved as [tf.Tensor, tf.Tensor]
      const turned = (x: tf.Tensor) => {
        const axes = x.shape.map((_, axis) => axis)
        return tf.transpose(x, [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!])
      }
      const d = dy as tf.Tensor
      return { a: () => tf.matMul(d, turned(b)), b: () => tf.matMul(turned(a), d) }
    },
  })
}

class Weights {
  readonly variables: tf.Variable[] = []

  make<Rank extends tf.Rank>(shape: tf.ShapeMap[Rank], scale: number, mean = 0): tf.Variable<Rank> {
    const variable = tf.variable(tf.randomNormal(shape, mean, scale)) as tf.Variable<Rank>
    this.variables.push(variable)
    return variable
  }
}

function crossEntropy(logits: tf.Tensor2D, labels: tf.Tensor2D): tf.Scalar {
  const shifted = tf.sub(logits, tf.max(logits, 1, true))
  const logarithm = tf.log(tf.sum(tf.exp(shifted), 1))
  return tf.mean(tf.sub(logarithm, tf.sum(tf.mul(labels, shifted), 1))) as tf.Scalar
}

function oneHotLabels(count: number, classes: number): tf.Tensor2D {
  return tf.cast(tf.oneHot(tf.randomUniform([count], 0, classes, 'int32'), classes), 'float32') as tf.Tensor2D
}

function perceptron(): Model {
  const { batch } = cases.mlp
  const weights = new Weights()
  const layers = mlpWidths.slice(1).map((width, index) => ({
    weight: weights.make<tf.Rank.R2>([mlpWidths[index]!, width], Math.sqrt(2 / mlpWidths[index]!)),
    bias: weights.make<tf.Rank.R1>([width], 0.01),
  }))
  const x = tf.randomUniform([batch, mlpWidths[0]]) as tf.Tensor2D
  const labels = oneHotLabels(batch, mlpWidths.at(-1)!)
  const forward = () =>
    layers.reduce((value, { weight, bias }, index) => {
      const sum = tf.add(tf.matMul(value, weight), bias) as tf.Tensor2D
      return index === layers.length - 1 ? sum : tf.relu(sum)
    }, x)
  return { loss: () => tf.tidy(() => crossEntropy(forward(), labels)), variables: weights.variables }
}

function gpt(): Model {
  const { layers, width, heads, context, vocabulary } = gptSizes
  const { batch } = cases.gpt
  const [rows, size] = [batch * context, width / heads]
  const weights = new Weights()
  const table = weights.make<tf.Rank.R2>([vocabulary, width], 0.02)
  const places = weights.make<tf.Rank.R2>([context, width], 0.02)
  const linear = (from: number, to: number) => {
    const weight = weights.make<tf.Rank.R2>([from, to], 0.02)
    const bias = weights.make<tf.Rank.R1>([to], 0.01)
    return (x: tf.Tensor2D) => tf.add(tf.matMul(x, weight), bias) as tf.Tensor2D
  }
  const norm = () => {
    const scale = weights.make<tf.Rank.R1>([width], 0.01, 1)
    const bias = weights.make<tf.Rank.R1>([width], 0.01)
    return (x: tf.Tensor2D) => {
      const centred = tf.sub(x, tf.mean(x, 1, true))
      const rate = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), 1e-5))
      return tf.add(tf.mul(tf.mul(centred, rate), scale), bias) as tf.Tensor2D
    }
  }
  const blocks = Array.from({ length: layers }, () => ({
    before: norm(),
    joint: linear(width, 3 * width),
    out: linear(width, width),
    between: norm(),
    wide: linear(width, 4 * width),
    narrow: linear(4 * width, width),
  }))
  const last = norm()
  const ids = oneHotLabels(rows, vocabulary)
  const labels = oneHotLabels(rows, vocabulary)
  const future = tf.mul(tf.sub(tf.linalg.bandPart(tf.ones([context, context]), -1, 0), 1), 1e9)
  const attend = (joint: tf.Tensor2D) => {
    const [q, k, v] = tf
      .split(joint, 3, 1)
      .map((part) => tf.transpose(tf.reshape(part, [batch, context, heads, size]), [0, 2, 1, 3])) as [
      tf.Tensor4D,
      tf.Tensor4D,
      tf.Tensor4D,
    ]
    const scores = tf.mul(tf.matMul(q, tf.transpose(k, [0, 1, 3, 2])), 1 / Math.sqrt(size))
    const mixed = tf.matMul(tf.softmax(tf.add(scores, future)), v)
    return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [rows, width]) as tf.Tensor2D
  }
  const gelu = (x: tf.Tensor2D) =>
    tf.mul(x, tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5)) as tf.Tensor2D
  const forward = () => {
    const embedded = tf.reshape(tf.matMul(ids, table), [batch, context, width])
    let x = tf.reshape(tf.add(embedded, places), [rows, width]) as tf.Tensor2D
    for (const { before, joint, out, between, wide, narrow } of blocks) {
      x = tf.add(x, out(attend(joint(before(x)))))
      x = tf.add(x, narrow(gelu(wide(between(x)))))
    }
    return tf.matMul(last(x), tf.transpose(table)) as tf.Tensor2D
  }
  return { loss: () => tf.tidy(() => crossEntropy(forward(), labels)), variables: weights.variables }
}
