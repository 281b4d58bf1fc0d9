/**
 * Makes a graph node by node, with every value's type known as it is made, so that gradient rules never ask a runtime.
 *
 * Equal nodes (same operator, inputs and attributes) are made once: rules may recompute freely what another rule
 * already has. The builder infers nothing itself: formulas.ts knows each operator's result type, import hands over the
 * runtime's.
 */
import { assert } from '../../protocols/core/assert.ts'
import { type Attributes, type Node, neededNodes } from '../onnx/graph.ts'
import { type Constant, float32Constant, int64Constant, type TensorType } from '../onnx/types.ts'
import type { WritableGraph } from '../onnx/write.ts'

/** A tensor of the graph under construction. */
export interface Value extends TensorType {
  readonly name: string
}

/** A node whose inputs and outputs have their types; null is an optional input or output left out. */
export interface TypedNode {
  readonly opType: string
  readonly name: string
  readonly inputs: readonly (Value | null)[]
  readonly outputs: readonly (Value | null)[]
  readonly attributes: Attributes
  /** Default: ONNX's own. */
  readonly domain?: string
}

/** Where a graph will run. Values are the same; which form of a gradient is fast is not. */
export interface Target {
  readonly device: 'cpu' | 'gpu'
  /** Channels of a block, where convolutions of blocked images have a kernel. */
  readonly channelBlock?: number | undefined
  /** Whether results shall not depend on how many threads share a matrix product. */
  readonly isSameByThreads?: boolean
}

export class GraphBuilder {
  readonly opset: number
  readonly target: Target
  private readonly inputs = new Map<string, TensorType>()
  private readonly constants = new Map<string, Constant>()
  private readonly made: TypedNode[] = []
  private readonly names = new Set<string>()
  private readonly known = new Map<string, Value>()
  /** By the names of their outputs. */
  private readonly makers = new Map<string, TypedNode>()

  constructor(opset: number, target: Target = { device: 'cpu' }) {
    this.opset = opset
    this.target = target
  }

  /** A graph input named exactly `name`. */
  input(name: string, type: TensorType): Value {
    assert(!this.names.has(name), `two values named '${name}'`)
    this.names.add(name)
    this.inputs.set(name, { dtype: type.dtype, shape: type.shape })
    return { name, dtype: type.dtype, shape: type.shape }
  }

  /** A constant value. Small ones are shared by content. */
  constant(constant: Constant, hint = 'constant'): Value {
    const key =
      constant.data.length <= 64 ? `constant ${constant.dtype} [${constant.shape}] ${constant.data}` : null
    const known = key === null ? undefined : this.known.get(key)
    if (known !== undefined) return known
    const value = { name: this.fresh(hint), dtype: constant.dtype, shape: constant.shape }
    this.constants.set(value.name, constant)
    if (key !== null) this.known.set(key, value)
    return value
  }

  /** A float32 scalar. */
  scalar(value: number): Value {
    return this.constant(float32Constant(Float32Array.of(value), []), 'scalar')
  }

  /** int64 values of one dimension: axes, shapes, pads. */
  integers(values: readonly number[]): Value {
    return this.constant(int64Constant(values), 'integers')
  }

  /** All nodes made so far, in execution order. */
  get nodes(): readonly TypedNode[] {
    return this.made
  }

  /** The value of `value` when it is a constant of the graph, else null. */
  constantOf(value: Value): Constant | null {
    return this.constants.get(value.name) ?? null
  }

  /** The node that made `value`; undefined for inputs and constants. */
  makerOf(value: Value): TypedNode | undefined {
    return this.makers.get(value.name)
  }

  /** What `value` is, whichever way a choice turns out: v of `Where(c, v, v)`, which holds v up until c is known. */
  originOf(value: Value): Value {
    const maker = this.makerOf(value)
    const [, yes, no] = maker?.inputs ?? []
    return maker?.opType === 'Where' && yes && yes.name === no?.name ? yes : value
  }

  /** The result of an operator with one output of type `type`. Made once for equal arguments. */
  emit(
    opType: string,
    inputs: readonly Value[],
    attributes: Attributes,
    type: TensorType,
    domain = '',
  ): Value {
    const names = inputs.map(({ name }) => name)
    const key = `${domain}.${opType} ${names.join(' ')} ${keyOf(attributes)}`
    const known = this.known.get(key)
    if (known !== undefined) return known
    const value = { name: this.fresh(opType), dtype: type.dtype, shape: type.shape }
    this.add({ opType, name: value.name, inputs, outputs: [value], attributes, domain })
    this.known.set(key, value)
    return value
  }

  /** Adds a node with any number of outputs; a null type leaves that output out. Returns one value for each type. */
  node(
    opType: string,
    inputs: readonly (Value | null)[],
    attributes: Attributes,
    types: readonly (TensorType | null)[],
    domain = '',
  ): (Value | null)[] {
    const outputs = types.map((type) => (type === null ? null : { ...type, name: this.fresh(opType) }))
    this.add({ opType, name: this.fresh(opType), inputs, outputs, attributes, domain })
    return outputs
  }

  /**
   * The graph that computes `outputs` (by the name each shall have), without the nodes, constants and inputs that none
   * of them needs. `keepInputs`: inputs that stay although unused, so that every graph of a family takes the same
   * feeds.
   */
  finish(outputs: Readonly<Record<string, Value>>, keepInputs: readonly Value[] = []): WritableGraph {
    for (const name of Object.keys(outputs)) {
      assert(!this.names.has(name), `two values named '${name}'`)
    }
    const results = Object.entries(outputs).map(([name, value]) => ({
      opType: 'Identity',
      name,
      inputs: [value],
      outputs: [{ ...value, name }],
      attributes: {},
    }))
    const needed = new Set([...Object.keys(outputs), ...keepInputs.map(({ name }) => name)])
    const nodes = neededNodes([...this.made, ...results], needed)
    const isNeeded = ([name]: readonly [string, unknown]) => needed.has(name)
    return {
      opset: this.opset,
      nodes: nodes.map(untyped),
      constants: new Map([...this.constants].filter(isNeeded)),
      inputs: new Map([...this.inputs].filter(isNeeded)),
      outputs: new Map(Object.entries(outputs)),
    }
  }

  private add(node: TypedNode): void {
    this.made.push(node)
    for (const output of node.outputs) if (output !== null) this.makers.set(output.name, node)
  }

  private fresh(hint: string): string {
    let name = `${hint}_${this.names.size}`
    while (this.names.has(name)) name += '_'
    this.names.add(name)
    return name
  }
}

function untyped({ opType, name, inputs, outputs, attributes, domain = '' }: TypedNode): Node {
  return {
    opType,
    domain,
    name,
    inputs: inputs.map((input) => input?.name ?? ''),
    outputs: outputs.map((output) => output?.name ?? ''),
    attributes,
  }
}

/** A text equal exactly for equal attributes. JSON alone would merge infinities and NaN. */
function keyOf(attributes: Attributes): string {
  return JSON.stringify(attributes, (_, value) => (typeof value === 'number' ? String(value) : value))
}
