/**
 * What a gradient rule is. A rule is a list of formulas, one for each input of the operator: given the forward values and
 * the gradient of the output, the gradient of that input. A null says that none flows into this input (indices, shapes).
 *
 * Formulas may use only what formulas.ts offers, which runs alike on all backends. Shapes are static: no rule asks one at run time.
 */

import type { Formulas } from '../onnx/formulas.ts'
import type { Attributes } from '../onnx/graph.ts'
import type { Value } from '../onnx/graph-builder.ts'

/** One application of an operator, seen from its gradient. */
export interface Application {
  readonly f: Formulas
  readonly attributes: Attributes
  /** Forward inputs; one that was left out throws when touched, `has(i)` asks. */
  readonly x: readonly Value[]
  has(index: number): boolean
  /** Forward outputs. */
  readonly y: readonly Value[]
  /** Gradient of the first output, of its shape. */
  readonly dy: Value
  /** Gradients of all outputs; null where the loss does not depend on one. */
  readonly dys: readonly (Value | null)[]
}

/** The gradient of one input, of that input's shape. `index`: which input; for formulas that serve several. */
export type Formula = (application: Application, index: number) => Value

export type Rule =
  | { readonly kind: 'gradient'; readonly inputs: readonly (Formula | null)[] }
  /** As `gradient`, with one formula for any number of inputs. */
  | { readonly kind: 'variadic'; readonly each: Formula }
  /** The output does not change with small changes of the inputs: nothing flows back, and that is right. */
  | { readonly kind: 'constant'; readonly reason: string }
  /** A gradient exists and is not here. A model that trains through this operator is refused with this reason. */
  | { readonly kind: 'missing'; readonly reason: string; readonly remedy: string }

/** A rule with one formula for each input, in order. */
export function gradient(...inputs: readonly (Formula | null)[]): Rule {
  return { kind: 'gradient', inputs }
}

/** A rule whose one formula serves every input. */
export function variadic(each: Formula): Rule {
  return { kind: 'variadic', each }
}

/** A row for an operator through which no gradient flows, and rightly. */
export function constant(reason: string): Rule {
  return { kind: 'constant', reason }
}

/** A row for an operator whose gradient is not written. */
export function missing(reason: string, remedy: string): Rule {
  return { kind: 'missing', reason, remedy }
}

/** The formula of input `index`, or null when no gradient flows there. */
export function formulaOf(rule: Rule, index: number): Formula | null {
  switch (rule.kind) {
    case 'gradient':
      return rule.inputs[index] ?? null
    case 'variadic':
      return rule.each
    case 'constant':
    case 'missing':
      return null
  }
}
