/**
 * Makes values of the forward pass a second time while the backward pass is built, so that the first ones need not be
 * kept (Griewank & Walther, "Evaluating Derivatives", 2008, chapter 12).
 *
 * A copy differs from the original in one thing: it cannot be made before the gradient arrives that needs it. Some
 * input of the first nodes of a copied stretch is passed through `Where(c, input, input)`, whose condition c is read
 * from that gradient; `GraphBuilder.originOf` sees through it. Without it the runtime would merge the copy with the
 * original (equal nodes), or make it early: either way both stay in memory. Values are the same to the bit, whichever
 * way c turns out.
 *
 * Which values are not kept is recomputation.ts's choice.
 */
import { assert } from '../../protocols/core/assert.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'

/** Names of the forward values that the backward pass makes again, each with the number of its segment. */
export type Recomputed = ReadonlyMap<string, number>

/** The copies of one backward pass. */
export class Recall {
  readonly #f: Formulas
  readonly #recomputed: Recomputed
  readonly #copies = new Map<string, Value>()
  /** What the copies of each segment wait for: a bool [], of any value. */
  readonly #conditions = new Map<number, Value>()

  constructor(f: Formulas, recomputed: Recomputed) {
    this.#f = f
    this.#recomputed = recomputed
  }

  /** `node` with copies in the place of the values that are not kept. `dy`: a gradient that arrives at it. */
  of(node: TypedNode, dy: Value): TypedNode {
    const remembered = (value: Value | null) => value && this.#remembered(value, dy)
    return { ...node, inputs: node.inputs.map(remembered), outputs: node.outputs.map(remembered) }
  }

  #remembered(value: Value, dy: Value): Value {
    const segment = this.#recomputed.get(value.name)
    if (segment === undefined) return value
    // the first gradient to reach a segment comes when those behind it are done with
    if (!this.#conditions.has(segment)) this.#conditions.set(segment, conditionOn(this.#f, dy))
    const waiting = [value] // no recursion: a segment may be thousands of nodes long
    for (let last = waiting.at(-1); last !== undefined; last = waiting.at(-1)) {
      const maker = this.#makerOf(last)
      const missing = maker.inputs.filter(
        (input) => input !== null && this.#recomputed.has(input.name) && !this.#copies.has(input.name),
      )
      if (missing.length === 0) {
        if (!this.#copies.has(last.name)) this.#copy(maker, segment)
        waiting.pop()
      } else waiting.push(...(missing as Value[]))
    }
    return this.#copies.get(value.name)!
  }

  #copy(node: TypedNode, segment: number): void {
    const copied = node.inputs.map((input) => input && (this.#copies.get(input.name) ?? input))
    const isFirst = copied.every((input, index) => input === node.inputs[index])
    const inputs = isFirst ? this.#waitingFor(this.#conditions.get(segment)!, node) : copied
    const outputs = this.#f.builder.node(node.opType, inputs, node.attributes, node.outputs, node.domain)
    for (const [index, original] of node.outputs.entries()) {
      if (original !== null) this.#copies.set(original.name, outputs[index]!)
    }
  }

  /** The inputs of `node`, the smallest of those that can wait held up. */
  #waitingFor(condition: Value, node: TypedNode): readonly (Value | null)[] {
    const place = waitingInput(node, (input) => this.#f.constantOf(input) !== null)
    assert(place !== null, `no input of ${node.opType} can wait`)
    const input = node.inputs[place]!
    return node.inputs.with(place, this.#f.where(condition, input, input))
  }

  #makerOf(value: Value): TypedNode {
    const maker = this.#f.builder.makerOf(value)
    assert(maker !== undefined, `'${value.name}' is not computed and cannot be made again`)
    return maker
  }
}

/** A bool [], of any value, that is known when `value`, float32, is: `Where` of it, x and x is x from then on. */
export function conditionOn(f: Formulas, value: Value): Value {
  const first = f.slice(
    value,
    value.shape.map((_, axis) => ({ axis, start: 0, count: 1 })),
  )
  return f.greater(f.reshape(first, []), 0)
}

/**
 * The place of the input of `node` that is held up when the node is the first of a copied stretch: the smallest float32
 * one, since holding up is a copy. Constants stay what they are: kernels ask for some of them. Null when there is none.
 */
export function waitingInput({ inputs }: TypedNode, isConstant: (value: Value) => boolean): number | null {
  let best: number | null = null
  for (const [place, input] of inputs.entries()) {
    if (input === null || input.dtype !== 'float32' || isConstant(input)) continue
    if (best === null || sizeOf(input.shape) < sizeOf(inputs[best]!.shape)) best = place
  }
  return best
}
