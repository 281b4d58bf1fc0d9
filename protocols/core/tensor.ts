/** Names for slices of one flat vector, and the batches that a training step takes. */

export type Dtype = 'float32' | 'int32' | 'uint8'

/**
 * One tensor inside the flat parameter vector: weights first, in the model's own order, then statistics. Statistics
 * stand apart so that a codec, which scales neighbours together, does not measure gradients by them.
 */
export interface ParameterSpec {
  name: string
  /**
   * `weight`: an optimizer steps on its gradient. `statistic`: measured while training (the running mean and variance
   * of a BatchNormalization); it is averaged as it is, and no optimizer touches it.
   */
  kind: 'weight' | 'statistic'
  shape: readonly number[]
  /** Index of the first element in the flat vector. */
  offset: number
  /** Elements: the product of `shape`. */
  length: number
}

/** A dense tensor, row-major. `data` belongs to whoever holds the tensor. */
export interface Tensor<Data extends Float32Array | Int32Array = Float32Array | Int32Array> {
  dtype: 'float32' | 'int32'
  shape: readonly number[]
  data: Data
}

/** The inputs of one step. `inputs`: by the model's input names; `labels`: int32 classes or float32 targets. */
export interface Batch {
  inputs: Readonly<Record<string, Tensor>>
  labels: Tensor
}
