/**
 * What exporters did to a model that shows in its file and changes what is trained: tensors merged, folded, untied, or
 * written as parameters that are none. A file does not say so, hence these are likelihoods: each is a sentence with the
 * remedy, and none changes what is done.
 */
import type { Graph, Model, Node, Subgraph } from '../onnx/graph.ts'
import { isHalf } from '../onnx/half.ts'
import type { Constant } from '../onnx/types.ts'

/**
 * Sentences on `file`, whose normal form is `graph` with the weights `tensors`; all borrowed.
 */
export function exporterWarnings(
  file: Model,
  graph: Graph,
  tensors: ReadonlyMap<string, Constant>,
): string[] {
  return [
    ...mergedTensors(graph, tensors),
    ...foldedTies(tensors),
    ...foldedTensors(file),
    ...foldedBatchNorms(tensors),
    ...droppedDetaches(file),
    ...innerTensors(file),
    // else the file tells parameters, buffers and literals apart
    ...(file.roles.size === 0 ? [...likelyBuffers(tensors), ...untrainedNumbers(file, graph)] : []),
    ...paddingRows(graph, tensors),
  ]
}

/** Names that a sentence lists. */
const namedMax = 4

const keepTensors = 'export with torch.onnx.export(..., optimize=False) to keep each on its own'

/**
 * PyTorch's optimizer merges equal tensors: all LayerNorm gains are ones at the start, and would stay one tensor for
 * ever.
 */
function mergedTensors(graph: Graph, tensors: ReadonlyMap<string, Constant>): string[] {
  const scaled = graph.nodes.filter(({ opType }) => opType.endsWith('Normalization'))
  return [...tensors.keys()].flatMap((name) => {
    const users = scaled.filter(({ inputs }) => inputs.slice(1).includes(name)).length
    return users < 2
      ? []
      : [`'${name}' is shared by ${users} normalisations, likely merged by the exporter: ${keepTensors}`]
  })
}

/** It also folds transposes, which unties a head from its embedding: two tensors start equal and drift apart. */
function foldedTies(tensors: ReadonlyMap<string, Constant>): string[] {
  const matrices = [...tensors].filter(([, { shape }]) => shape.length === 2)
  return matrices.flatMap(([name, matrix], index) =>
    matrices
      .slice(index + 1)
      .filter(([, other]) => isTransposed(matrix, other))
      .map(
        ([other]) =>
          `'${other}' is '${name}' transposed, likely a tied weight taken apart by the exporter: ${keepTensors}`,
      ),
  )
}

function isTransposed(a: Constant, b: Constant): boolean {
  const [rows, columns] = a.shape as [number, number]
  if (b.shape[0] !== columns || b.shape[1] !== rows || rows === 1 || columns === 1) return false
  return (a.data as Float32Array).every((value, index) => {
    const row = Math.floor(index / columns)
    return b.data[(index - row * columns) * rows + row] === value
  })
}

/**
 * Tensors under names that no module has: those without a role where others have one (the new exporter, optimize=True),
 * or `onnx::` ones (the old one, do_constant_folding=True).
 */
function foldedTensors({ graph, roles }: Model): string[] {
  const isMadeUp = (name: string) => (roles.size > 0 ? !roles.has(name) : name.startsWith('onnx::'))
  const names = [...graph.constants].flatMap(([name, { dtype }]) =>
    dtype === 'float32' && isMadeUp(name) ? [name] : [],
  )
  if (names.length === 0) return []
  const option = roles.size > 0 ? 'optimize=False' : 'do_constant_folding=False, training=PRESERVE'
  return [
    `the exporter folded ${names.length} tensors (${listed(names)}): weights train in their folded form, a batch norm ` +
      `that went into a convolution no more by the batch, and a bias of zeros may be gone: export with ` +
      `torch.onnx.export(..., ${option})`,
  ]
}

/** tf2onnx knows a batch norm of Keras only by its running values: a product and a sum under the layer's name. */
function foldedBatchNorms(tensors: ReadonlyMap<string, Constant>): string[] {
  const layers = [...tensors.keys()].flatMap((name) => /^(.+)\/batchnorm\/(mul|sub)/.exec(name)?.[1] ?? [])
  const names = [...new Set(layers)]
  if (names.length === 0) return []
  return [
    `tf2onnx folded ${names.length} batch norms (${listed(names)}): they train as scales and shifts, no more by the batch: ` +
      `build the model with GroupNormalization or LayerNormalization, or export it from PyTorch`,
  ]
}

/** Its notes name them still. */
function droppedDetaches({ detached }: Model): string[] {
  if (detached !== 'dropped') return []
  return [
    'the exporter dropped a detach(): gradients flow where the module had cut them off: export with ' +
      'torch.onnx.export(..., optimize=False)',
  ]
}

/** What branches and bodies hold themselves stays as it is: only the graph's own tensors are parameters. */
function innerTensors({ graph }: Model): string[] {
  const names = [...graphsInside(graph.nodes)].flatMap(({ constants }) =>
    [...constants].flatMap(([name, { dtype, shape }]) => (isFloat(dtype) && shape.length > 0 ? [name] : [])),
  )
  if (names.length === 0) return []
  return [
    `${names.length} tensors inside branches or loops (${listed(names)}) are not trained: make them parameters of the module, ` +
      'which exporters write into the graph around the branch or loop',
  ]
}

function* graphsInside(nodes: readonly Node[]): Generator<Subgraph> {
  for (const { attributes } of nodes) {
    for (const attribute of Object.values(attributes)) {
      if (attribute.kind !== 'graph') continue
      yield attribute.value
      yield* graphsInside(attribute.value.nodes)
    }
  }
}

const isFloat = (dtype: string) => dtype === 'float32' || isHalf(dtype)

/** `names` in quotes, the first few. */
export function listed(names: readonly string[]): string {
  const quoted = names.slice(0, namedMax).map((name) => `'${name}'`)
  return [...quoted, ...(names.length > namedMax ? ['...'] : [])].join(', ')
}

/** Names that buffers have by custom and parameters have not. */
export const bufferNames =
  /(^|[._])(pe|inv_freq|freqs|cos|sin|(cos|sin)_cached|(\w+_)?mask|tril|triu|grid|anchors)$/

/**
 * The old exporter writes float buffers as it writes parameters. Guessed by name, and by values that no training
 * leaves.
 */
function likelyBuffers(tensors: ReadonlyMap<string, Constant>): string[] {
  return [...tensors].flatMap(([name, tensor]) => {
    const looks = bufferNames.test(name) ? 'by its name' : looksFixed(tensor)
    return looks === null
      ? []
      : [
          `'${name}' looks like a buffer (${looks}), which PyTorch's older exporter does not tell from a parameter: ` +
            `it is trained unless the job freezes it, train: { freeze: ['${name}'] }`,
        ]
  })
}

/** By which sign a tensor's values are none that training leaves; null where they may be a weight's. */
export function looksFixed({ shape, data }: Constant): string | null {
  const values = data as Float32Array
  if (shape.length >= 2 && isMask(values)) return 'a mask'
  if (shape.length >= 2 && isSineTable(values, shape.at(-1)!)) return 'a table of sines'
  if (shape.length === 1 && isProgression(values)) return 'a progression'
  return null
}

/** Zeros, and either ones or something that hides a score; both occur. */
function isMask(values: Float32Array): boolean {
  const other = values.find((value) => value !== 0)
  if (other === undefined || (other !== 1 && other > -100)) return false
  return values.includes(0) && values.every((value) => value === 0 || value === other)
}

/** The angle is 0 in the first row of `width`: sines of 0 and cosines of 1; later rows lie between -1 and 1. */
function isSineTable(values: Float32Array, width: number): boolean {
  const first = values.subarray(0, width)
  if (values.length === width || !first.includes(1) || !first.every((value) => value === 0 || value === 1))
    return false
  return values.every((value) => Math.abs(value) <= 1) && values.some((value) => value !== 0 && value !== 1)
}

/** Equal steps (a grid) or equal ratios (frequencies). Fewer than four numbers are that by chance. */
function isProgression(values: Float32Array): boolean {
  if (values.length < 4) return false
  const [first, second] = values as unknown as [number, number]
  if (first === second) return false
  const isNear = (a: number, b: number) => Math.abs(a - b) <= 1e-5 * Math.abs(b)
  const isEvery = (next: (value: number) => number) =>
    values.every((value, index) => index === 0 || isNear(next(values[index - 1]!), value))
  const range = Math.abs(values.at(-1)! - first)
  const isGrid = values.every(
    (value, index) => Math.abs(first + index * (second - first) - value) <= 1e-5 * range,
  )
  return isGrid || (first !== 0 && isEvery((value) => value * (second / first)))
}

/** A learned temperature, say, cannot be told from a literal of the source code; a name like a module's is a hint. */
function untrainedNumbers(file: Model, { constants, nodes }: Graph): string[] {
  const read = new Set(nodes.flatMap(({ inputs }) => inputs))
  return [...constants].flatMap(([name, { dtype, shape }]) => {
    const isNamed = /^[\w.]+$/.test(name) && /[a-z]/i.test(name) && file.graph.constants.has(name)
    return dtype === 'float32' && shape.length === 0 && isNamed && read.has(name)
      ? [
          `'${name}' is a number without dimensions and is taken for a constant: give a parameter the shape [1]`,
        ]
      : []
  })
}

/** ONNX has no word for padding_idx, whose row PyTorch keeps at zero. */
function paddingRows({ nodes }: Graph, tensors: ReadonlyMap<string, Constant>): string[] {
  const tables = new Set(nodes.filter(({ opType }) => opType === 'Gather').map(({ inputs }) => inputs[0]!))
  return [...tables].flatMap((name) => {
    const tensor = tensors.get(name)
    if (tensor === undefined || tensor.shape.length !== 2) return []
    const [rows, width] = tensor.shape as [number, number]
    const isZero = (row: number) =>
      tensor.data.subarray(row * width, (row + 1) * width).every((value) => Number(value) === 0)
    const zeros = Array.from({ length: rows }, (_, row) => row).filter(isZero)
    return zeros.length === 1 && rows > 1
      ? [
          `row ${zeros[0]} of '${name}' is all zeros, likely padding_idx=${zeros[0]}: the file cannot say that, and the row is ` +
            'trained where samples look it up; mask those places in the model',
        ]
      : []
  })
}
