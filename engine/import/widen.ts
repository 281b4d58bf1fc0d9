/**
 * A model whose weights or arithmetic are in 16-bit floats, in float32: what it trains in. Constants become float32,
 * casts to 16 bits become casts to float32, inputs take float32, in branches and bodies too. The result goes back into the file in its own types
 * (with-parameters.ts).
 */
import type { Attribute, Attributes, Model, Node, Subgraph } from '../onnx/graph.ts'
import { isHalf, widened } from '../onnx/half.ts'
import { type Constant, elementTypeOf, elementTypes, float32Constant } from '../onnx/types.ts'

/** `model` without a 16-bit float. */
export function widen(model: Model): Model {
  const inputs = model.graph.inputs.map((input) =>
    isHalf(input.dtype) ? { ...input, dtype: 'float32' as const } : input,
  )
  return { ...model, graph: { ...widenInner(model.graph), inputs } }
}

/** `graph`, the whole or a part, with its nodes and constants in float32. */
function widenInner<Whole extends Pick<Subgraph, 'nodes' | 'constants'>>(graph: Whole): Whole {
  const nodes = graph.nodes.map(widenNode)
  const constants = new Map([...graph.constants].map(([name, constant]) => [name, widenConstant(constant)]))
  return { ...graph, nodes, constants }
}

function widenConstant(constant: Constant): Constant {
  const { dtype, shape, data } = constant
  return isHalf(dtype) ? float32Constant(widened(data as Uint16Array, dtype), shape) : constant
}

function widenNode(node: Node): Node {
  const entries = Object.entries(node.attributes)
  const changed = entries.map(([name, attribute]) => [name, widenAttribute(name, attribute)] as const)
  if (changed.every(([, attribute], index) => attribute === entries[index]![1])) return node
  return { ...node, attributes: Object.fromEntries(changed) as Attributes }
}

/**
 * Attributes that name an element type by its number: of Cast and its relatives, of generated tensors, of a statistic's
 * precision.
 */
const namesType: ReadonlySet<string> = new Set([
  'to',
  'dtype',
  'stash_type',
  'softmax_precision',
  'output_dtype',
])

function widenAttribute(name: string, attribute: Attribute): Attribute {
  if (attribute.kind === 'graph') return { kind: 'graph', value: widenInner(attribute.value) }
  if (attribute.kind === 'tensor' && isHalf(attribute.value.dtype))
    return { kind: 'tensor', value: widenConstant(attribute.value) }
  const type = attribute.kind === 'int' && namesType.has(name) ? elementTypeOf(attribute.value) : null
  return type !== null && isHalf(type) ? { kind: 'int', value: elementTypes.float32.code } : attribute
}
