/**
 * RNN, LSTM and GRU, unrolled: their steps are written out as products and activations, whose rules are the rule.
 *
 * The products with the input do not wait for each other, so they are one product for the whole sequence; only the
 * product with the state is made step by step. Cost: 6 (RNN), 16 (LSTM) or 17 (GRU) nodes a step and direction forward,
 * about three times as many backward, and the gates of every step stay in memory. The sequence's length is fixed, and
 * all samples have it.
 *
 * Gates follow the ONNX specification: i o f c (LSTM), z r h (GRU). Directions are stacked; PyTorch's `h` layout after
 * import.
 */

import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { type Attributes, intOf, textOf } from '../onnx/graph.ts'
import { numbersOf, type TensorType } from '../onnx/types.ts'
import { fixedInput, type Rule, type Spelling, type Use, unsupportedUse } from './rule.ts'

export const recurrent: { readonly RNN: Rule; readonly LSTM: Rule; readonly GRU: Rule } = {
  /** h = f(W·x + R·h + b) */
  RNN: { kind: 'spelled', spelling: unrolled(1, ['Tanh'], rnnStep), still: [4] },
  /** i, o, f = σ(W·x + R·h + b) ; c' = f∘c + i∘g(W_c·x + R_c·h + b_c) ; h = o∘h(c') */
  LSTM: { kind: 'spelled', spelling: unrolled(4, ['Sigmoid', 'Tanh', 'Tanh'], lstmStep), still: [4] },
  /** z, r = σ(W·x + R·h + b) ; n = g(W_h·x + R_h·(r∘h) + b_h), or r∘(R_h·h + b) inside ; h' = (1 - z)∘n + z∘h */
  GRU: { kind: 'spelled', spelling: unrolled(3, ['Sigmoid', 'Tanh'], gruStep), still: [4] },
}

/** One direction of one layer, while it is written. */
interface Cell {
  readonly f: Formulas
  readonly attributes: Attributes
  /** Elements of the state. */
  readonly size: number
  /** `[gates·size, size]`: weight of the state. */
  readonly recurrence: Value
  /** `[gates·size]` each; null without. */
  readonly inputBias: Value | null
  readonly stateBias: Value | null
  /** `[3·size]`: what the LSTM's gates see of the cell; null without. */
  readonly peephole: Value | null
  readonly activate: readonly ((x: Value) => Value)[]
}

/** h `[batch, size]`, and c of an LSTM. */
type State = readonly [h: Value, c: Value | null]

/** The next state. `projected`: W·x of this step, with all biases that may be added to it, `[batch, gates·size]`. */
type Step = (cell: Cell, projected: Value, state: State) => State

function unrolled(gates: number, activations: readonly string[], step: Step): Spelling {
  return (use, types) => {
    const { f, attributes } = use
    refuse(use)
    const directions = directionsOf(attributes).map((isReversed, direction) => {
      const cell = cellOf(use, gates, activations, direction)
      const states = run(use, cell, step, direction, isReversed)
      return { states, inOrder: isReversed ? states.toReversed() : states }
    })
    const stack = (values: readonly Value[]) =>
      f.concat(
        values.map((value) => f.reshape(value, [1, ...value.shape])),
        0,
      )
    const lasts = (of: 0 | 1) => stack(directions.map(({ states }) => states.at(-1)![of]!))
    const steps = stack(
      directions[0]!.inOrder.map((_, time) => stack(directions.map(({ inOrder }) => inOrder[time]![0]))),
    )
    const outputs = [() => steps, () => lasts(0), () => lasts(1)]
    return types.map((type: TensorType | null, index) => (type === null ? null : outputs[index]!()))
  }
}

function refuse(use: Use): void {
  const { attributes, x } = use
  const [steps, batch] = x[0]!.shape
  const lengths = fixedInput(use, 4, 'sequence lengths')
  if (lengths !== null && (lengths.data.length !== batch || numbersOf(lengths).some((n) => n !== steps))) {
    throw unsupportedUse(
      use,
      'its sequences have different lengths',
      'Pad them to one length, without packing.',
    )
  }
  if (attributes.clip !== undefined)
    throw unsupportedUse(use, 'it clips its gates', 'Export without cell_clip.')
  if (intOf(attributes, 'input_forget', 0) === 1) {
    throw unsupportedUse(use, 'its input and forget gates are one', 'Export a cell with separate gates.')
  }
}

/** Whether each direction runs from the end. */
function directionsOf(attributes: Attributes): boolean[] {
  const direction = textOf(attributes, 'direction', 'forward')
  return direction === 'bidirectional' ? [false, true] : [direction === 'reverse']
}

function cellOf(use: Use, gates: number, defaults: readonly string[], direction: number): Cell {
  const { f, x, has, attributes } = use
  const part = (value: Value) => {
    const cut = f.slice(value, [{ axis: 0, start: direction, count: 1 }])
    return f.reshape(cut, value.shape.slice(1))
  }
  const size = x[2]!.shape[2]!
  const bias = has(3) ? part(x[3]!) : null
  const half = (start: number) =>
    bias === null ? null : f.slice(bias, [{ axis: 0, start, count: gates * size }])
  return {
    f,
    attributes,
    size,
    recurrence: part(x[2]!),
    inputBias: half(0),
    stateBias: half(gates * size),
    peephole: has(7) ? part(x[7]!) : null,
    activate: activationsOf(use, defaults, direction),
  }
}

function activationsOf(use: Use, defaults: readonly string[], direction: number): ((x: Value) => Value)[] {
  const { f, attributes } = use
  const { activations } = attributes
  const listed = activations?.kind === 'strings' ? activations.value : []
  return defaults.map((otherwise, index) => {
    const name = listed[direction * defaults.length + index] ?? otherwise
    if (name === 'Sigmoid' || name === 'Tanh' || name === 'Relu') return (x) => f.unary(name, x)
    throw unsupportedUse(use, `it has the activation ${name}`, 'Use a cell with Sigmoid, Tanh and Relu.')
  })
}

/** The states after every step, in the order of the steps. */
function run(
  { f, x, has, attributes }: Use,
  cell: Cell,
  step: Step,
  direction: number,
  isReversed: boolean,
): State[] {
  const [input] = x as readonly [Value]
  const [steps, batch, features] = input.shape as [number, number, number]
  const weight = f.reshape(f.slice(x[1]!, [{ axis: 0, start: direction, count: 1 }]), x[1]!.shape.slice(1))
  const products = f.gemm(f.reshape(input, [steps * batch, features]), weight, { transB: true })
  const projected = withBiases(cell, products, attributes)
  const initial = (index: number) => {
    if (!has(index)) return f.full([batch, cell.size])
    return f.reshape(f.slice(x[index]!, [{ axis: 0, start: direction, count: 1 }]), [batch, cell.size])
  }
  const states: State[] = []
  let state: State = [initial(5), initial(6)]
  for (let time = 0; time < steps; time++) {
    const start = (isReversed ? steps - 1 - time : time) * batch
    state = step(cell, f.slice(projected, [{ axis: 0, start, count: batch }]), state)
    states.push(state)
  }
  return states
}

/** Both biases are added once for all steps, but a GRU's last one may belong inside the reset gate's product. */
function withBiases({ f, inputBias, stateBias, size }: Cell, products: Value, attributes: Attributes): Value {
  if (inputBias === null || stateBias === null) return products
  if (intOf(attributes, 'linear_before_reset', 0) === 0) return f.add(products, f.add(inputBias, stateBias))
  const outside = f.slice(stateBias, [{ axis: 0, start: 0, count: 2 * size }])
  return f.add(products, f.add(inputBias, f.pad(outside, [0], [size])))
}

/** Gate number `index` of values `[batch, gates·size]`, or of weights with `axis` 0. */
function gate({ f, size }: Cell, values: Value, index: number, count = 1, axis = 1): Value {
  return f.slice(values, [{ axis, start: index * size, count: count * size }])
}

function rnnStep({ f, recurrence, activate: [activate] }: Cell, projected: Value, [h]: State): State {
  return [activate!(f.add(projected, f.gemm(h, recurrence, { transB: true }))), null]
}

function lstmStep(cell: Cell, projected: Value, [h, c]: State): State {
  const { f, recurrence, peephole, activate } = cell
  const [squash, candidate, output] = activate as [Activation, Activation, Activation]
  const sums = f.add(projected, f.gemm(h, recurrence, { transB: true }))
  const seeing = (sum: Value, index: number, state: Value) =>
    peephole === null ? sum : f.add(sum, f.mul(state, gate(cell, peephole, index, 1, 0)))
  const i = squash(seeing(gate(cell, sums, 0), 0, c!))
  const forget = squash(seeing(gate(cell, sums, 2), 2, c!))
  const next = f.add(f.mul(forget, c!), f.mul(i, candidate(gate(cell, sums, 3))))
  const o = squash(seeing(gate(cell, sums, 1), 1, next))
  return [f.mul(o, output(next)), next]
}

type Activation = (x: Value) => Value

function gruStep(cell: Cell, projected: Value, [h]: State): State {
  const { f, recurrence, stateBias, activate, attributes } = cell
  const [squash, candidate] = activate as [Activation, Activation]
  const isLinearFirst = intOf(attributes, 'linear_before_reset', 0) === 1
  const times = (state: Value, start: number, count: number) =>
    f.gemm(state, gate(cell, recurrence, start, count, 0), { transB: true })
  const sums = times(h, 0, isLinearFirst ? 3 : 2)
  const gates = squash(f.add(gate(cell, projected, 0, 2), gate(cell, sums, 0, 2)))
  const [z, r] = [gate(cell, gates, 0), gate(cell, gates, 1)]
  const inner = () => {
    if (!isLinearFirst) return times(f.mul(r, h), 2, 1)
    const linear = gate(cell, sums, 2)
    return f.mul(r, stateBias === null ? linear : f.add(linear, gate(cell, stateBias, 2, 1, 0)))
  }
  const n = candidate(f.add(gate(cell, projected, 2), inner()))
  return [f.add(n, f.mul(z, f.sub(h, n))), null]
}
