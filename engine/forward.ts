/**
 * Puts an imported model's nodes into a builder, in the form that trains fastest.
 *
 * Some operators change their form, never their value: LayerNormalization also gives mean and rate, which its gradient
 * reads; a product with a (transposed) matrix becomes one Gemm, so that neither pass moves the matrix; the exact Gelu is
 * spelled out, so that its gradient finds the error function made; a Relu under a MaxPool moves above it, where it has fewer elements.
 */

import { normalDistribution } from './gradients/elementwise.ts'
import { type Formulas, positiveAxis } from './onnx/formulas.ts'
import { intOf, textOf } from './onnx/graph.ts'
import type { TypedNode, Value } from './onnx/graph-builder.ts'
import type { ImportedModel } from './onnx/import-model.ts'
import { sizeOf } from './onnx/types.ts'

/** A model inside a graph under construction. */
export interface Forward {
  readonly output: Value
  /** The applications to differentiate, in execution order. */
  readonly nodes: readonly TypedNode[]
}

/** Adds `model` to `f`'s graph, where `input` and `parameters` (by name) are values already. */
export function addForward(
  f: Formulas,
  model: ImportedModel,
  input: Value,
  parameters: ReadonlyMap<string, Value>,
): Forward {
  const nodes: TypedNode[] = []
  const values = new Map<string, Value>([...parameters, [model.input.name, input]])
  for (const [name, constant] of model.constants) values.set(name, f.builder.constant(constant))
  const makers = new Map(
    model.nodes.flatMap((node) => node.outputs.map((output) => [output?.name, node] as const)),
  )
  for (const node of poolBeforeRelu(model)) {
    const inputs = node.inputs.map((value) => (value === null ? null : values.get(value.name)!))
    const made = f.builder.nodes.length
    const outputs = addNode(f, { ...node, inputs }, (index) =>
      untransposed(node.inputs[index], makers, values),
    )
    const isSpelledOut = node.opType === 'Gelu'
    nodes.push(...(isSpelledOut ? [{ ...node, inputs, outputs }] : f.builder.nodes.slice(made)))
    for (const [index, output] of node.outputs.entries()) {
      if (output !== null) values.set(output.name, outputs[index]!)
    }
  }
  return { output: values.get(model.output.name)!, nodes }
}

/** The matrix whose plain transpose input `index` is, when it is one. */
type Untransposed = (index: number) => Value | null

/** The model's nodes with `MaxPool(Relu(x))` as `Relu(MaxPool(x))`, where nobody else reads the Relu: Relu is monotone. */
function poolBeforeRelu(model: ImportedModel): TypedNode[] {
  const nodes = [...model.nodes]
  const readers = (value: Value) =>
    nodes.filter(({ inputs }) => inputs.some((input) => input?.name === value.name)).length
  for (const [index, pool] of nodes.entries()) {
    const reluIndex = nodes.findIndex(
      ({ opType, outputs }) => opType === 'Relu' && outputs[0]?.name === pool.inputs[0]?.name,
    )
    const relu = nodes[reluIndex]
    if (pool.opType !== 'MaxPool' || relu === undefined || readers(relu.outputs[0]!) > 1) continue
    const pooled = { ...pool.outputs[0]!, name: `${pool.outputs[0]!.name}/pooled` }
    nodes[reluIndex] = { ...pool, inputs: relu.inputs, outputs: [pooled] }
    nodes[index] = { ...relu, inputs: [pooled], outputs: pool.outputs }
  }
  return nodes
}

function addNode(f: Formulas, node: TypedNode, source: Untransposed): (Value | null)[] {
  switch (node.opType) {
    case 'MatMul':
      return [product(f, node, source)]
    case 'Gelu':
      return [
        textOf(node.attributes, 'approximate', 'none') === 'none'
          ? gelu(f, node.inputs[0]!)
          : plain(f, node)[0]!,
      ]
    case 'LayerNormalization':
      return layerNormalization(f, node)
    default:
      return plain(f, node)
  }
}

function plain(f: Formulas, node: TypedNode): (Value | null)[] {
  return f.builder.node(node.opType, node.inputs, node.attributes, node.outputs)
}

/** A·B with a matrix B as one Gemm over all rows of A. */
function product(f: Formulas, node: TypedNode, source: Untransposed): Value {
  const [a, b] = node.inputs as [Value, Value]
  if (b.shape.length !== 2 || a.shape.length < 2) return plain(f, node)[0]!
  const original = source(1)
  const rows = f.reshape(a, [sizeOf(a.shape) / a.shape.at(-1)!, a.shape.at(-1)!])
  const result = original === null ? f.gemm(rows, b) : f.gemm(rows, original, { transB: true })
  return f.reshape(result, node.outputs[0]!.shape)
}

/** x·Φ(x) */
function gelu(f: Formulas, x: Value): Value {
  return f.mul(x, normalDistribution(f, x))
}

function layerNormalization(f: Formulas, node: TypedNode): (Value | null)[] {
  const x = node.inputs[0]!
  const axis = positiveAxis(intOf(node.attributes, 'axis', -1), x.shape.length)
  const shape = x.shape.map((size, index) => (index < axis ? size : 1))
  const statistic = { dtype: x.dtype, shape }
  return f.builder.node(node.opType, node.inputs, node.attributes, [x, statistic, statistic])
}

function untransposed(
  input: Value | null | undefined,
  makers: ReadonlyMap<string | undefined, TypedNode>,
  values: ReadonlyMap<string, Value>,
): Value | null {
  const maker = makers.get(input?.name)
  const isMatrix = maker?.opType === 'Transpose' && maker.inputs[0]!.shape.length === 2
  return isMatrix ? values.get(maker.inputs[0]!.name)! : null
}
