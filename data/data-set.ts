/**
 * The form every data set has in memory, whatever file it came from: two splits of samples, each sample an input `x`,
 * or several under names of their own, and its labels `y`. A field is one flat array; sample `i` starts at
 * `i * stride`. With a stride shorter than a sample the samples overlap: that is how a text gives one window of tokens
 * for every position, and its labels are the same tokens one further on, without a copy.
 */

import type { Dtype } from '../protocols/core/tensor.ts'

/** One flat array of samples. Row-major; treat as immutable, since fields may share memory. */
export interface Field {
  dtype: Dtype
  /** Shape of one sample; `[]` is one number. */
  sampleShape: readonly number[]
  /** Elements from the start of one sample to the start of the next, >= 1. */
  stride: number
  /** What a value is divided by to become a float32 input: 255 for pixels, 1 for anything that is not scaled. */
  divisor: 1 | 255
  /** What is then done with each channel, the first dimension of a sample. */
  normal?: Normal
  data: Uint8Array | Int32Array | Float32Array
}

/** Mean and standard deviation of each channel, of values in 0 … 1: torchvision's `Normalize`. */
export interface Normal {
  mean: readonly number[]
  deviation: readonly number[]
}

export interface Split {
  /** Samples, >= 1. */
  count: number
  /** `x` is the input of a model that has one, `y` the labels. */
  fields: { y: Field; [name: string]: Field }
}

/** What a model with one input learns from. */
export interface SingleInputSplit extends Split {
  fields: { x: Field; y: Field; [name: string]: Field }
}

/**
 * `images`: pixels with one class each. `text`: windows of token ids, labelled with the token that follows each.
 * `arrays`: numbers of any shape, one field for each input.
 */
export type DataKind = 'images' | 'text' | 'arrays'

export interface DataSet {
  kind: DataKind
  /** Labels are 0 … classes − 1; in text the size of the vocabulary; 1 where labels are values. */
  classes: number
  /** Of arrays: the label of what does not count, which need not be one of the classes. */
  ignored?: number
  /** Text only: the character of each token id. */
  vocabulary?: readonly string[]
  train: Split
  validation: Split
}

/** A data set of images or text. */
export interface SingleInputDataSet extends DataSet {
  kind: 'images' | 'text'
  train: SingleInputSplit
  validation: SingleInputSplit
}

/** Shape of one sample's input `x`; undefined for arrays, where each field has its own. */
export function inputShape({ kind, train }: DataSet): number[] | undefined {
  const { x } = train.fields
  return kind === 'arrays' || x === undefined ? undefined : [...x.sampleShape]
}

/** Numbers in one sample. */
export function sampleLength(field: Pick<Field, 'sampleShape'>): number {
  return field.sampleShape.reduce((product, size) => product * size, 1)
}

/**
 * A split of images. `pixels` u8[count, ...sampleShape] and `labels` u8[count] are kept, not copied. `normal`: what is
 * done with their channels.
 */
export function imageSplit(
  pixels: Uint8Array,
  labels: Uint8Array,
  sampleShape: readonly number[],
  normal?: Normal,
): SingleInputSplit {
  const stride = sampleLength({ sampleShape })
  return {
    count: labels.length,
    fields: {
      x: { dtype: 'uint8', sampleShape, stride, divisor: 255, ...(normal && { normal }), data: pixels },
      y: { dtype: 'uint8', sampleShape: [], stride: 1, divisor: 1, data: labels },
    },
  }
}

/**
 * A split of text: windows of `context` tokens, one every `stride` tokens, as many as fit with the token that follows
 * each. `tokens` is kept, not copied; it holds more than `context` ids.
 */
export function textSplit(
  tokens: Uint8Array | Int32Array,
  context: number,
  stride: number,
): SingleInputSplit {
  const field = (data: Uint8Array | Int32Array): Field => ({
    dtype: data instanceof Uint8Array ? 'uint8' : 'int32',
    sampleShape: [context],
    stride,
    divisor: 1,
    data,
  })
  const count = Math.floor((tokens.length - 1 - context) / stride) + 1
  return { count, fields: { x: field(tokens), y: field(tokens.subarray(1)) } }
}

/**
 * A text that trains and a text that validates. Training draws any window; validation takes each token once, in windows
 * side by side, which is a fair mean at 1/`context` of the cost. Both keep their tokens, which must outnumber
 * `context`.
 */
export function textSplits(
  tokens: { train: Uint8Array | Int32Array; validation: Uint8Array | Int32Array },
  context: number,
): { train: SingleInputSplit; validation: SingleInputSplit } {
  return {
    train: textSplit(tokens.train, context, 1),
    validation: textSplit(tokens.validation, context, context),
  }
}
