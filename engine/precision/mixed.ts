/**
 * Writes a float32 training graph again with most of it in float16 (Micikevicius et al., "Mixed Precision Training",
 * 2018): the same nodes, each in the type that its class (classes.ts) and its operands ask for, with casts where types
 * meet.
 *
 *   - Inputs and outputs of the graph stay float32: parameters are the master weights, gradients are summed, clipped and stepped
 *     on in float32. A parameter is cast once, and the cast shared by all that read it in half.
 *   - `exact` and `arithmetic` follow the largest of their operands that are computed: a statistic of a channel joins the
 *     activations in half, and does not bring them to full. Where the largest are of both types, full wins.
 *   - What only `full` and `bounded` nodes read is not rounded for them. What only the graph's outputs read is computed in full: the
 *     last sums of a gradient. A product that a reduction alone reads is the beginning of a longer sum, and counted as such.
 *   - A constant that half cannot hold (a mask of -1e9, an ε of 1e-12) keeps its node in full.
 *   - A value has each of the two types at most once, so no cast is undone by another.
 *
 * Where no kernel computes in half (CPUs), a value in half is one that was rounded to it: nodes compute in float32, and
 * casts stand around each, around an `exact` one too. onnxruntime's own casts would not do: it removes those that meet,
 * ours among them, and with them the rounding; a pooled value is then none of those that it was chosen from.
 *
 * Not done here: gradients, which are in the graph already, and the scale of the loss (loss-scale.ts).
 */
import { assert } from '../../protocols/core/assert.ts'
import type { HalfKernels } from '../backends/backend.ts'
import { Formulas } from '../graph/formulas.ts'
import { GraphBuilder, type TypedNode, type Value } from '../graph/graph-builder.ts'
import { narrowed } from '../onnx/half.ts'
import { type Constant, sizeOf, type TensorType } from '../onnx/types.ts'
import { classOf, type PrecisionClass } from './classes.ts'
import { type FullGraph, type Readers, readersOf, summedElements } from './readers.ts'

/** What a graph in float32 has become. */
export interface MixedGraph {
  /** The builder that it is in, to go on from. */
  readonly f: Formulas
  /** The value that stands for one of `outputs`, or for an input: float32. */
  of(value: Value): Value
}

/** `graph` in a builder of its own, whose inputs have the names that they had. */
export function mixedPrecision(graph: FullGraph, kernels: HalfKernels): MixedGraph {
  const writer = new Writer(graph, kernels)
  for (const node of graph.builder.nodes) writer.write(node)
  return { f: writer.f, of: (value) => writer.full(value) }
}

/** A value of the old graph in the new one. */
interface Held {
  full?: Value
  half?: Value
  /** The type it was computed in; `either`: made when asked for, in the type that is asked for, with nothing lost. */
  readonly origin: 'full' | 'half' | 'either'
  readonly make?: (dtype: 'float32' | 'float16') => Value
}

/** How a node is written. `rounded`: computed in full, its first output handed on in half. */
type Form = 'full' | 'half' | 'rounded' | 'either'

class Writer {
  readonly f: Formulas
  readonly #graph: FullGraph
  readonly #kernels: HalfKernels
  readonly #held = new Map<string, Held>()
  readonly #inputs: ReadonlySet<string>
  readonly #summed: ReadonlyMap<string, number>
  readonly #readers: Readers

  constructor(graph: FullGraph, kernels: HalfKernels) {
    const { builder, inputs } = graph
    this.f = new Formulas(new GraphBuilder(builder.opset, builder.target))
    this.#graph = graph
    this.#kernels = kernels
    this.#inputs = new Set(inputs.map(({ name }) => name))
    for (const input of inputs) {
      this.#held.set(input.name, { full: this.f.builder.input(input.name, input), origin: 'full' })
    }
    this.#summed = summedElements(graph)
    this.#readers = readersOf(graph, (node) => this.#classOf(node))
  }

  write(node: TypedNode): void {
    const form = this.#formOf(node)
    if (form === 'either') this.#defer(node)
    else this.#emit(node, form)
  }

  /** `value` in float32, or in its own type where that is no float. */
  full(value: Value): Value {
    const held = this.#find(value)
    held.full ??= held.make?.('float32') ?? this.f.cast(held.half!, 'float32')
    return held.full
  }

  half(value: Value): Value {
    const held = this.#find(value)
    held.half ??=
      held.make !== undefined && this.#kernels === 'computed'
        ? held.make('float16')
        : this.f.cast(this.full(value), 'float16')
    return held.half
  }

  #emit(node: TypedNode, form: Exclude<Form, 'either'>): void {
    const isHalf = form === 'half'
    const computesHalf = isHalf && this.#kernels === 'computed'
    const read = (value: Value) => {
      if (!isHalf || value.dtype !== 'float32') return this.full(value)
      return computesHalf ? this.half(value) : this.f.cast(this.half(value), 'float32')
    }
    const typed = ({ dtype, shape }: Value): TensorType =>
      computesHalf && dtype === 'float32' ? { dtype: 'float16', shape } : { dtype, shape }
    const inputs = node.inputs.map((value) => value && read(value))
    const types = node.outputs.map((value) => value && typed(value))
    const made = this.f.builder.node(node.opType, inputs, node.attributes, types, node.domain)
    for (const [place, value] of node.outputs.entries()) {
      if (value === null) continue
      const isRounded = value.dtype === 'float32' && (isHalf || (form === 'rounded' && place === 0))
      const held: Held = isRounded
        ? { half: this.f.cast(made[place]!, 'float16'), origin: 'half' }
        : { full: made[place]!, origin: 'full' }
      this.#held.set(value.name, held)
    }
  }

  #find(value: Value): Held {
    let held = this.#held.get(value.name)
    if (held !== undefined) return held
    const constant = this.#graph.builder.constantOf(value)
    assert(constant !== null, `'${value.name}' is neither given, constant nor computed`)
    const { builder } = this.f
    held =
      constant.dtype === 'float32' && isHeldByHalf(constant)
        ? {
            origin: 'either',
            make: (dtype) => builder.constant(dtype === 'float32' ? constant : inHalf(constant)),
          }
        : { full: builder.constant(constant), origin: 'full' }
    this.#held.set(value.name, held)
    return held
  }

  #classOf(node: TypedNode): PrecisionClass {
    if (this.#graph.pinned.has(node)) return 'full'
    const added = this.#summed.get(node.outputs[0]?.name ?? '') ?? 1
    return classOf(node, (value) => this.#isConstant(value), added)
  }

  #formOf(node: TypedNode): Form {
    if (isMask(node)) return 'either'
    switch (this.#classOf(node)) {
      case 'full':
        return 'full'
      case 'bounded':
        return this.#readers.wantedFull.has(node) ? 'full' : 'rounded'
      case 'product':
        return 'half'
      case 'exact':
        return this.#followed(node, true)
      case 'arithmetic':
        return this.#readers.ending.has(node) ? 'full' : this.#followed(node, false)
    }
  }

  /** The form of a node that follows its operands. */
  #followed(node: TypedNode, isExact: boolean): Form {
    const operands = node.inputs.filter((value) => value?.dtype === 'float32') as Value[]
    const origins = operands.map((value) => this.#find(value).origin)
    const isComputed = (value: Value) => !this.#inputs.has(value.name) && !this.#isConstant(value)
    const hasLarge = operands.some((value, index) => origins[index] === 'full' && this.#isConstant(value))
    if (hasLarge || operands.length === 0) return 'full'
    if (origins.every((origin) => origin === 'either'))
      return isExact && node.outputs.length === 1 ? 'either' : 'full'
    const computed = operands.filter((value, index) => origins[index] !== 'either' && isComputed(value))
    // what only moves parameters is rounded behind the move: it may have picked some rows of many
    if (computed.length === 0) return isExact && !this.#readers.wantedFull.has(node) ? 'rounded' : 'full'
    const size = Math.max(...computed.map(({ shape }) => sizeOf(shape)))
    const largest = computed.filter(({ shape }) => sizeOf(shape) === size)
    return largest.every((value) => this.#find(value).origin === 'half') ? 'half' : 'full'
  }

  #isConstant(value: Value): boolean {
    return this.#graph.builder.constantOf(value) !== null
  }

  /** Writes a node of one output when its result is asked for, in the type that is asked for. */
  #defer({ opType, inputs, attributes, outputs, domain }: TypedNode): void {
    const [output] = outputs as [Value]
    const make = (dtype: 'float32' | 'float16') => {
      if (opType === 'Cast') return this.f.cast(this.full(inputs[0]!), dtype)
      const operands = inputs.map((value) => {
        if (value?.dtype !== 'float32') return value && this.full(value)
        return dtype === 'float16' ? this.half(value) : this.full(value)
      })
      return this.f.builder.node(opType, operands, attributes, [{ ...output, dtype }], domain)[0]!
    }
    this.#held.set(output.name, { origin: 'either', make })
  }
}

/** A choice that is about to become 0 and 1. */
function isMask({ opType, inputs, outputs }: TypedNode): boolean {
  return opType === 'Cast' && inputs[0]!.dtype === 'bool' && outputs[0]!.dtype === 'float32'
}

/** Least normal number of float16; below it digits are lost. */
const normalMin = 2 ** -14

/** Whether rounding to half leaves `constant` finite where it was, and loses no digits to its range. */
function isHeldByHalf({ data }: Constant): boolean {
  return (data as Float32Array).every((value) => {
    const size = Math.abs(value)
    return size === 0 || !Number.isFinite(value) || (size >= normalMin && size < 65_520)
  })
}

function inHalf({ shape, data }: Constant): Constant {
  return { dtype: 'float16', shape, data: narrowed(data as Float32Array, 'float16') }
}
