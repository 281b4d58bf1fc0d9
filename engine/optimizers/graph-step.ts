/**
 * One optimizer step in a graph: clips the whole gradient, steps every weight, and keeps the book on which output is
 * which input of the next step.
 */

import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { madeName } from '../onnx/graph.ts'
import { graphOptimizer } from './choose.ts'
import { clipByNorm, type StepScalars } from './graph-optimizer.ts'
import type { OptimizerSpec } from './spec.ts'

export interface GraphStep {
  /** The next value of each weight and slot, beside the input that holds the present one. */
  readonly carried: readonly { now: Value; next: Value }[]
  /** Names of the slots, which are inputs of the graph. */
  readonly slotNames: readonly string[]
}

/** Adds the step of `weights` along `gradients`, in the same order, and an input for each slot. */
export function addStep(
  f: Formulas,
  spec: OptimizerSpec,
  weights: readonly Value[],
  gradients: readonly Value[],
  scalars: StepScalars,
): GraphStep {
  const optimizer = graphOptimizer(spec)
  const clipped = spec.gradClip === undefined ? gradients : clipByNorm(f, gradients, spec.gradClip)
  const carried: { now: Value; next: Value }[] = []
  const slotNames: string[] = []
  for (const [index, weight] of weights.entries()) {
    const slots = optimizer
      .slots(weight)
      .map(({ name, shape }) => f.builder.input(madeName(weight.name, name), { dtype: 'float32', shape }))
    const updated = optimizer.update(f, weight, clipped[index]!, slots, scalars)
    carried.push({ now: weight, next: updated.parameter })
    for (const [position, slot] of slots.entries()) {
      carried.push({ now: slot, next: updated.slots[position]! })
      slotNames.push(slot.name)
    }
  }
  return { carried, slotNames }
}
