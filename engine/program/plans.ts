/**
 * The ways to take a step of one model: with more or less of the forward pass made again, in one precision or another.
 * All take and give the same. Each is built when it is first asked for.
 */
import { stepBytes } from './memory.ts'
import { planRecomputation, type Recomputation, recomputations } from './recomputation.ts'
import { type Blueprint, type StepGraph, stepGraph } from './training-graphs.ts'
import type { Precision } from './training-program.ts'

/** A graph that is to be built, and its step. */
export interface Plan {
  readonly blueprint: Blueprint
  readonly step: StepGraph
}

/** The plans of one model; the one that recomputes nothing is kept. */
export class Plans {
  readonly #keeping: Plan

  /** `blueprint` recomputes nothing. */
  constructor(blueprint: Blueprint) {
    this.#keeping = { blueprint, step: stepGraph(blueprint) }
  }

  /** The plan that recomputes so much. */
  of(recomputation: Recomputation): Plan {
    if (recomputation === 'nothing') return this.#keeping
    const recomputed = planRecomputation(this.#keeping.step.kept, recomputation)
    const blueprint = { ...this.#keeping.blueprint, recomputed }
    return { blueprint, step: stepGraph(blueprint) }
  }

  /** The plans in `precision`, for a device that computes in it. */
  in(precision: Precision): Plans {
    const { blueprint } = this.#keeping
    const half = precision === 'float16' ? 'computed' : null
    return half === blueprint.half ? this : new Plans({ ...blueprint, half })
  }

  /**
   * The least recomputation from `from` on whose step takes at most `bytesMax`; where none does, the one that takes
   * least.
   */
  within(bytesMax: number, from: Recomputation): Recomputation {
    let [best, least] = [from, Number.POSITIVE_INFINITY]
    for (const recomputation of recomputations.slice(recomputations.indexOf(from))) {
      const bytes = stepBytes(this.of(recomputation).step.memory)
      if (bytes <= bytesMax) return recomputation
      if (bytes < least) [best, least] = [recomputation, bytes]
    }
    return best
  }
}
