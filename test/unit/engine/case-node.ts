/** A gradient case as a node of a model file. */
import type { Node } from '../../../engine/onnx/graph.ts'
import { type Constant, elementTypes } from '../../../engine/onnx/types.ts'
import type { GradientCase, Input } from './gradient-case.ts'
import { onnxAttributes } from './onnx-attributes.ts'
import type { Nd } from './reference-array.ts'

export interface CaseNode {
  readonly node: Node
  /** Its parameters and constants, by the names that it reads. */
  readonly constants: ReadonlyMap<string, Constant>
  /** The output that the case is about. */
  readonly read: string
}

/**
 * The node of `given` with the values of its inputs; all names begin with `prefix`, input `i`'s is `prefix` + `p` +
 * `i`.
 */
export function caseNode(
  { op, inputs, attributes, outputs, read }: GradientCase,
  values: readonly (Nd | undefined)[],
  prefix = '',
): CaseNode {
  const names = inputs.map(({ kind }, index) => (kind === 'none' ? '' : `${prefix}p${index}`))
  const parts = Array.from({ length: outputs }, (_, index) => `${prefix}h${index}`)
  const node = {
    opType: op,
    domain: '',
    name: `${prefix}${op}`,
    inputs: names,
    outputs: parts,
    attributes: onnxAttributes(attributes),
  }
  const constants = names.flatMap((name, index) => {
    const [input, value] = [inputs[index]!, values[index]]
    return input.kind === 'none' || value === undefined ? [] : [[name, constantOf(input, value)] as const]
  })
  return { node, constants: new Map(constants), read: parts[read]! }
}

function constantOf(input: Exclude<Input, { kind: 'none' }>, { shape, data }: Nd): Constant {
  const dtype = input.kind === 'parameter' ? 'float32' : input.dtype
  const elements = dtype === 'int64' ? BigInt64Array.from(data, BigInt) : elementTypes[dtype].array.from(data)
  return { dtype, shape, data: elements as Constant['data'] }
}
