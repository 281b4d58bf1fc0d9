/**
 * What a rule is: how gradients pass through one operator. There are three ways to have one.
 *
 * A *gradient* is a list of formulas, one for each input: given the forward values and the gradient of the output, the
 * gradient of that input. A null says that none flows into this input (indices, shapes). A *spelled* operator is
 * written as other operators before anything is differentiated; the rules of its parts are its rule. That is the form
 * for what few devices have a kernel for, and for what is a page of algebra otherwise (LSTM, Attention). An *imported*
 * operator (sequences, branches, loops) is gone when shapes are known; engine/onnx rewrites it.
 *
 * Formulas and spellings may use only what formulas.ts offers, which runs alike on all backends. Shapes are static:
 * none asks for one at run time.
 */

import { SwarmError } from '../../protocols/core/errors.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import type { Attributes } from '../onnx/graph.ts'
import { type Constant, numbersOf, type TensorType } from '../onnx/types.ts'

/** One use of an operator in a model. */
export interface Use {
  readonly f: Formulas
  readonly opType: string
  /** The node's name in the model, for messages. */
  readonly node: string
  readonly attributes: Attributes
  /** Inputs; one that was left out throws when touched, `has(i)` asks. */
  readonly x: readonly Value[]
  has(index: number): boolean
}

/** One use of an operator, seen from its gradient. */
export interface Application extends Use {
  /** Forward outputs. */
  readonly y: readonly Value[]
  /** Gradient of the first output, of its shape. */
  readonly dy: Value
  /** Gradients of all outputs; null where the loss does not depend on one. */
  readonly dys: readonly (Value | null)[]
}

/** The gradient of one input, of that input's shape. `index`: which input; for formulas that serve several. */
export type Formula = (application: Application, index: number) => Value

/**
 * A use as other operators: one value for each output. `types`: of the outputs, null where nobody reads one. Null as a
 * whole where the operator stays as it is on this device.
 */
export type Spelling = (use: Use, types: readonly (TensorType | null)[]) => readonly (Value | null)[] | null

export type Rule =
  | { readonly kind: 'gradient'; readonly inputs: readonly (Formula | null)[]; readonly spelling?: Spelling }
  /** As `gradient`, with one formula for any number of inputs. */
  | { readonly kind: 'variadic'; readonly each: Formula; readonly spelling?: Spelling }
  /** `still`: inputs into which no gradient flows. */
  | { readonly kind: 'spelled'; readonly spelling: Spelling; readonly still: readonly number[] }
  /** Rewritten as soon as shapes are known. */
  | { readonly kind: 'imported' }
  /** The output does not change with small changes of the inputs: nothing flows back, and that is right. */
  | { readonly kind: 'constant'; readonly reason: string; readonly spelling?: Spelling }
  /**
   * A gradient exists and is not here. A model that trains through this operator is refused with this reason; where it
   * is `never` right to have one, so is a model whose output depends on it in any way. `still`: inputs that nobody
   * would train.
   */
  | {
      readonly kind: 'missing'
      readonly reason: string
      readonly remedy: string
      readonly never?: true
      readonly still?: readonly number[]
    }

/** A rule with one formula for each input, in order. */
export function gradient(...inputs: readonly (Formula | null)[]): Rule {
  return { kind: 'gradient', inputs }
}

/** A rule whose one formula serves every input. */
export function variadic(each: Formula): Rule {
  return { kind: 'variadic', each }
}

/** A rule for y = g(x): `formula` gives dx. */
export function unary(formula: (application: Application, x: Value, dy: Value, y: Value) => Value): Rule {
  return gradient((application) => formula(application, application.x[0]!, application.dy, application.y[0]!))
}

/** `formula` of the first two inputs, summed over the axes along which input `index` was broadcast. */
export function reduced(formula: (application: Application, a: Value, b: Value) => Value): Formula {
  return (application, index) =>
    application.f.sumTo(
      formula(application, application.x[0]!, application.x[1]!),
      application.x[index]!.shape,
    )
}

/** A rule of an operator with one output that is written as others. `still`: inputs into which no gradient flows. */
export function spelled(spelling: (use: Use) => Value, still: readonly number[] = []): Rule {
  return { kind: 'spelled', spelling: (use) => [spelling(use)], still }
}

/**
 * `rule`, whose operator is also written as others in the forward pass, because WebGPU has no kernel for it, or a wrong
 * one. `type`: of the output.
 */
export function spelledForward(rule: Rule, spelling: (use: Use, type: TensorType) => Value): Rule {
  return { ...rule, spelling: (use, [type]) => [spelling(use, type!)] } as Rule
}

/**
 * As {@link spelledForward}, only where the graph is for WebGPU and `spelling` gives a value: CPUs have a faster
 * kernel.
 */
export function spelledOnGpu(rule: Rule, spelling: (use: Use, type: TensorType) => Value | null): Rule {
  const onGpu: Spelling = (use, [type]) => {
    const value = use.f.builder.target.device === 'gpu' ? spelling(use, type!) : null
    return value === null ? null : [value]
  }
  return { ...rule, spelling: onGpu } as Rule
}

/** A row for an operator that importing rewrites. */
export const imported: Rule = { kind: 'imported' }

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
    case 'spelled':
    case 'imported':
    case 'constant':
    case 'missing':
      return null
  }
}

/** How the forward pass writes the operator of `rule`, or null when it stays as it is. */
export function spellingOf(rule: Rule): Spelling | null {
  return 'spelling' in rule ? (rule.spelling ?? null) : null
}

/**
 * The value of input `index`, which the rule needs as a number and not as data; null when it was left out.
 * @throws {SwarmError} MODEL_UNSUPPORTED when it is computed from data.
 */
export function fixedInput(use: Use, index: number, what: string): Constant | null {
  if (!use.has(index)) return null
  const constant = use.f.constantOf(use.x[index]!)
  if (constant === null) throw unsupportedUse(use, `its ${what} depend on data`, 'Export with fixed sizes.')
  return constant
}

/** As {@link fixedInput}, its elements; `otherwise` when it was left out. */
export function fixedNumbers(use: Use, index: number, what: string, otherwise: number[] = []): number[] {
  const constant = fixedInput(use, index, what)
  return constant === null ? otherwise : numbersOf(constant)
}

/** MODEL_UNSUPPORTED for a way of using an operator that its rule does not cover. */
export function unsupportedUse({ opType, node }: Use, problem: string, hint: string): SwarmError {
  return new SwarmError('MODEL_UNSUPPORTED', `${opType} (node '${node}') cannot be trained: ${problem}`, {
    hint,
  })
}
