/**
 * The same perceptron in TensorFlow.js 4.22, as its users write it and with the gradients it ships: plain SGD, softmax
 * cross-entropy, one thread on WebAssembly.
 */

import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import '@tensorflow/tfjs-backend-webgpu'
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-core/dist/register_all_gradients.js'
import { batch, widths } from './perceptron.ts'

export type TfjsBackend = 'wasm' | 'webgpu'

/** Opens the model on `backend`; the returned function makes so many steps, until the last one's loss is here. */
export async function openTfjs(backend: TfjsBackend): Promise<(steps: number) => Promise<void>> {
  setWasmPaths(new URL('tfjs/', document.baseURI).href)
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false)
  await tf.setBackend(backend)
  const layers = widths.slice(1).map((to, layer) => {
    const from = widths[layer]!
    return {
      weight: tf.variable(tf.randomNormal<tf.Rank.R2>([from, to], 0, Math.sqrt(2 / from))),
      bias: tf.variable(tf.randomNormal<tf.Rank.R1>([to], 0, 0.01)),
    }
  })
  const variables = layers.flatMap(({ weight, bias }) => [weight, bias])
  const x = tf.randomUniform<tf.Rank.R2>([batch, widths[0]])
  const classes = widths.at(-1)!
  const labels = tf.cast(
    tf.oneHot(tf.randomUniform<tf.Rank.R1>([batch], 0, classes, 'int32'), classes),
    'float32',
  )
  const loss = () =>
    tf.tidy(() => {
      const logits = layers.reduce<tf.Tensor2D>((value, { weight, bias }, layer) => {
        const sum = tf.add(tf.matMul(value, weight), bias) as tf.Tensor2D
        return layer === layers.length - 1 ? sum : tf.relu(sum)
      }, x)
      const shifted = tf.sub(logits, tf.max(logits, 1, true))
      const logarithm = tf.log(tf.sum(tf.exp(shifted), 1))
      return tf.mean(tf.sub(logarithm, tf.sum(tf.mul(labels, shifted), 1))) as tf.Scalar
    })
  return async (steps) => {
    await tf.setBackend(backend)
    for (let step = 0; step < steps; step++) {
      const { value, grads } = tf.variableGrads(loss, variables)
      for (const variable of variables)
        tf.tidy(() => variable.assign(tf.sub(variable, tf.mul(grads[variable.name]!, 1e-4))))
      await value.data()
      tf.dispose([value, grads])
    }
  }
}
