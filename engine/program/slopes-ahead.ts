/**
 * Derivatives of activations that are made on the way forward, for graphs that train on a CPU.
 *
 * Gelu's is Φ(x) + x·φ(x): five passes over x/√2 and Φ(x), both of which the forward pass has. Made there, they are read
 * while they are in the processor's cache, and one value is kept for the way back instead of two. But a runtime makes a
 * value when somebody asks for it; so the bias of the next product waits until the derivative is there.
 */
import { geluSlope } from '../gradients/activations.ts'
import { conditionOn, type Recomputed } from '../gradients/recall.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'

/** The derivatives of one forward pass. */
export class SlopesAhead {
  readonly #f: Formulas
  readonly #isTraining: boolean
  readonly #recomputed: Recomputed
  /** The last derivative, when nothing waits for it yet. */
  #awaited: Value | null = null

  /** `recomputed`: what is made again on the way back, so that nothing waits for it. */
  constructor(f: Formulas, { isTraining, recomputed }: { isTraining: boolean; recomputed: Recomputed }) {
    this.#f = f
    this.#recomputed = recomputed
    this.#isTraining = isTraining && f.builder.target.device === 'cpu'
  }

  /** The derivative of the Gelu `node`, of its input's shape; null where it is made on the way back. */
  gelu({ inputs, attributes }: TypedNode): Value | null {
    const [x] = inputs as [Value]
    if (!this.#isTraining || x.dtype !== 'float32') return null
    this.#awaited = geluSlope(this.#f, x, attributes)
    return this.#awaited
  }

  /** `bias`, small, as soon as the last derivative is there; null when something waits for that already. */
  waiting(bias: Value): Value | null {
    const slope = this.#awaited
    if (slope === null) return null
    this.#awaited = null
    // made in any case: values have the same names in graphs that recompute others
    const waiting = this.#f.where(conditionOn(this.#f, slope), bias, bias)
    return this.#recomputed.has(slope.name) ? bias : waiting
  }
}
