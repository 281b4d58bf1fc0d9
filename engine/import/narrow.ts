/**
 * int64 values that depend on the batch, as int32: ids, labels and masks. WebGPU has no int64, and would compute with
 * them on the CPU; every backend computes with int32, and no id or class needs more. Shapes and axes are constants, and
 * stay int64.
 *
 * Works on a graph whose types are known. A node that follows the type of its inputs becomes an int32 node; one that
 * insists on int64 gets a cast in front of it. Places that a node picks are int64, and cast for who computes with them.
 */

import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { int, madeName } from '../onnx/graph.ts'
import { type Constant, elementTypes, numbersOf } from '../onnx/types.ts'
import type { ResolvedGraph } from './resolve.ts'

/** Inputs that may be int32 where they may be int64, by operator; the others are shapes, axes or indices of int64. */
const mayBeNarrow: Readonly<Record<string, readonly number[] | 'all'>> = {
  ...allOf('all', 'Concat', 'Add', 'Sub', 'Mul', 'Div', 'Mod', 'Min', 'Max', 'Equal', 'Greater', 'Less'),
  ...allOf('all', 'GreaterOrEqual', 'LessOrEqual', 'GatherElements'),
  ...allOf(
    [0],
    'Reshape',
    'Squeeze',
    'Unsqueeze',
    'Flatten',
    'Transpose',
    'Slice',
    'Split',
    'Expand',
    'Tile',
  ),
  ...allOf([0], 'Cast', 'Identity', 'Neg', 'Abs', 'CumSum', 'ReduceSum', 'ReduceMax', 'ReduceMin', 'Trilu'),
  ...allOf([0], 'ArgMax', 'ArgMin', 'ReduceProd'),
  ...allOf([0, 1], 'Gather', 'GatherND'),
  ...allOf([0, 2], 'Pad'),
  ...allOf([1], 'SoftmaxCrossEntropyLoss', 'NegativeLogLikelihoodLoss'),
  ...allOf([1, 2], 'Where'),
  ...allOf([0, 1, 2], 'ScatterElements', 'ScatterND', 'Clip'),
}

/** Operators that pick places, and those that take them as they come, by input. */
const picksPlaces: ReadonlySet<string> = new Set(['ArgMax', 'ArgMin', 'TopK', 'MaxPool'])
const takesPlaces: ReadonlySet<string> = new Set(['GatherElements 1', 'ScatterElements 1', 'Gather 1'])

/** Operators whose int64 output does not follow an input. */
const makesInt64: ReadonlySet<string> = new Set(['ArgMax', 'ArgMin', 'TopK', 'NonZero', 'Shape', 'Size'])

/** `graph` with its inputs `wide`, declared as int64, taken as int32. */
export function narrowIntegers(graph: ResolvedGraph, wide: readonly string[]): ResolvedGraph {
  const pass = new Narrowing(graph, wide)
  const nodes = graph.nodes.flatMap((node) => pass.narrow(node))
  return { ...graph, nodes, constants: pass.constants }
}

class Narrowing {
  readonly constants: Map<string, Constant>
  /** Values that were int64 and are int32. */
  readonly #narrow: Set<string>
  /** Names of the values that casts have made. */
  readonly #casts = new Set<string>()
  /** Values that are picked places. */
  readonly #places = new Set<string>()

  constructor({ constants }: ResolvedGraph, wide: readonly string[]) {
    this.constants = new Map(constants)
    this.#narrow = new Set(wide)
  }

  /** `node` with whatever has to stand before it. */
  narrow(given: TypedNode): TypedNode[] {
    const before: TypedNode[] = []
    const node = this.#withNarrowPlaces(given, before)
    const isNarrow = (input: Value | null) => input !== null && this.#narrow.has(input.name)
    if (!node.inputs.some(isNarrow)) return [...before, this.#castToNarrow(node)]
    const places = mayBeNarrow[node.opType] ?? []
    const may = (index: number) => places === 'all' || places.includes(index)
    const follows = node.inputs.some((input, index) => isNarrow(input) && may(index))
    const inputs = node.inputs.map((input, index) => {
      if (input?.dtype !== 'int64') return input
      const isWanted = follows && may(index)
      if (isNarrow(input)) {
        const narrow = { ...input, dtype: 'int32' as const }
        return isWanted ? narrow : this.#cast(narrow, 'int64', before)
      }
      return isWanted ? (this.#narrowConstant(input) ?? this.#cast(input, 'int32', before)) : input
    })
    return [...before, this.#castToNarrow({ ...node, inputs, outputs: this.#outputs(node, follows) })]
  }

  /** `node` with int32 in the place of picked places that it computes with. */
  #withNarrowPlaces(node: TypedNode, before: TypedNode[]): TypedNode {
    if (picksPlaces.has(node.opType))
      for (const output of node.outputs) if (output?.dtype === 'int64') this.#places.add(output.name)
    const places = mayBeNarrow[node.opType] ?? []
    const inputs = node.inputs.map((input, index) => {
      const computes =
        (places === 'all' || places.includes(index)) && !takesPlaces.has(`${node.opType} ${index}`)
      if (input?.dtype !== 'int64' || !this.#places.has(input.name) || !computes) return input
      const narrow = this.#cast(input, 'int32', before)
      this.#narrow.add(narrow.name)
      return narrow
    })
    return { ...node, inputs }
  }

  #outputs({ opType, outputs }: TypedNode, follows: boolean): (Value | null)[] {
    return outputs.map((output) => {
      if (output?.dtype !== 'int64' || !follows || opType === 'Cast' || makesInt64.has(opType)) return output
      this.#narrow.add(output.name)
      return { ...output, dtype: 'int32' as const }
    })
  }

  /** A cast to int64 of what depends on the batch, as a cast to int32. */
  #castToNarrow(node: TypedNode): TypedNode {
    const [output] = node.outputs
    if (node.opType !== 'Cast' || output?.dtype !== 'int64') return node
    this.#narrow.add(output.name)
    const attributes = { ...node.attributes, to: int(elementTypes.int32.code) }
    return { ...node, attributes, outputs: [{ ...output, dtype: 'int32' }] }
  }

  /** The int32 copy of an int64 constant that meets a narrow value; null for a value that is none. */
  #narrowConstant(input: Value): Value | null {
    const constant = this.constants.get(input.name)
    if (constant === undefined) return null
    const name = madeName(input.name, 'int32')
    const data = Int32Array.from(numbersOf(constant), (value) =>
      Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, value)),
    )
    this.constants.set(name, { dtype: 'int32', shape: constant.shape, data })
    return { ...input, name, dtype: 'int32' }
  }

  /** `input` as `dtype`, by a node that goes before the one that reads it. */
  #cast(input: Value, dtype: 'int32' | 'int64', before: TypedNode[]): Value {
    const output: Value = { ...input, name: madeName(input.name, dtype), dtype }
    if (!this.#casts.has(output.name)) {
      this.#casts.add(output.name)
      const attributes = { to: int(elementTypes[dtype].code) }
      before.push({ opType: 'Cast', name: output.name, inputs: [input], outputs: [output], attributes })
    }
    return output
  }
}

function allOf(
  places: readonly number[] | 'all',
  ...operators: readonly string[]
): Record<string, readonly number[] | 'all'> {
  return Object.fromEntries(operators.map((operator) => [operator, places]))
}
