/**
 * The table of gradients: a row for every operator of ONNX's own set. The compiler refuses a missing row; an operator
 * without a formula has a row that says why. Rows live in one file for each family; here they only meet.
 */

import type { OpType } from '../onnx/op-types.ts'
import { activations } from './activations.ts'
import { attention } from './attention.ts'
import { convolution } from './convolution.ts'
import { cumulative } from './cumulative.ts'
import { deformable } from './deformable.ts'
import { determinant } from './determinant.ts'
import { einsum } from './einsum.ts'
import { elementwise } from './elementwise.ts'
import { gather } from './gather.ts'
import { linear } from './linear.ts'
import { loss } from './loss.ts'
import { normalisation } from './normalisation.ts'
import { norms } from './norms.ts'
import { pad } from './pad.ts'
import { pooling } from './pooling.ts'
import { recurrent } from './recurrent.ts'
import { reductions } from './reduction.ts'
import { regions } from './regions.ts'
import { resize } from './resize.ts'
import { formulaOf, missing, type Rule } from './rule.ts'
import { sampling } from './sampling.ts'
import { scatter } from './scatter.ts'
import { shape } from './shape.ts'
import { softmax } from './softmax.ts'
import { spectra } from './spectra.ts'
import { taps } from './taps.ts'
import { trigonometry } from './trigonometry.ts'
import { withoutGradient } from './without-gradient.ts'

export const rules: { readonly [Op in OpType]: Rule } = {
  ...activations,
  ...attention,
  ...cumulative,
  ...deformable,
  ...determinant,
  ...einsum,
  ...norms,
  ...recurrent,
  ...regions,
  ...resize,
  ...sampling,
  ...scatter,
  ...spectra,
  ...taps,
  ...convolution,
  ...elementwise,
  ...gather,
  ...linear,
  ...loss,
  ...normalisation,
  ...pad,
  ...pooling,
  ...reductions,
  ...shape,
  ...softmax,
  ...trigonometry,
  ...withoutGradient,
}

const foreign = missing(
  "it is not in ONNX's own operator set",
  'Export without runtime-specific optimisation.',
)

/** The row of `opType`; of a name that ONNX does not have, a row that refuses it. */
export function ruleOf(opType: string): Rule {
  return Object.hasOwn(rules, opType) ? rules[opType as OpType] : foreign
}

/**
 * Whether the loss moves with input `index` of operator `opType`. True of operators whose gradient is missing too: what
 * lies behind them is trainable.
 */
export function gradientFlows(opType: string, index: number): boolean {
  const rule = ruleOf(opType)
  if (rule.kind === 'imported') return true
  const isListed = rule.kind === 'missing' || rule.kind === 'spelled'
  return isListed ? !rule.still?.includes(index) : formulaOf(rule, index) !== null
}
