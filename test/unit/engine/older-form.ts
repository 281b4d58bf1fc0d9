/** Gradient cases as older operator sets write them: axes and sizes that were attributes, a softmax that flattened. */
import { readFileSync } from 'node:fs'
import type { GradientCase } from './gradient-case.ts'
import type { Plain } from './reference-array.ts'

type Form = readonly [since: number, inputsMax: number, attributes: readonly string[]]

/** By operator, oldest first (test/fixtures/operator_sets.py). */
const forms = JSON.parse(
  readFileSync(new URL('../../fixtures/operator-sets.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, readonly Form[]>>

/** Attributes that only the reference reads. */
const pseudo: ReadonlySet<string> = new Set(['positions', 'boolean'])

/** `given` as operator set `opset` writes it; null where that set cannot say it. */
export function inOperatorSet(given: GradientCase, opset: number): GradientCase | null {
  const form = forms[given.op]?.findLast(([since]) => since <= opset)
  if (form === undefined) return null
  const [, inputsMax, known] = form
  const softmax = softmaxOf(withAttribute(withDefaults(given), known), opset)
  const written = softmax && alignedOf(softmax, opset)
  if (written === null || written.inputs.length > inputsMax) return null
  if (written.attributes.mode === 'wrap') return null // since set 19, in an attribute that is older
  const names = Object.keys(written.attributes).filter((name) => !pseudo.has(name))
  return names.every((name) => known.includes(name)) ? { ...written, opset } : null
}

/** Without attributes that say what is so anyway, and with values by the names that they had. */
function withDefaults(given: GradientCase): GradientCase {
  const { reduction, ...attributes } = given.attributes
  if (given.op === 'GridSample' && attributes.mode === 'linear') {
    return { ...given, attributes: { ...attributes, mode: 'bilinear' } }
  }
  return reduction === 'none' && given.op.startsWith('Scatter') ? { ...given, attributes } : given
}

/** Before set 16 the regions of RoiAlign began at whole elements, and no attribute said so. */
function alignedOf(given: GradientCase, opset: number): GradientCase | null {
  if (given.op !== 'RoiAlign' || opset >= 16) return given
  const { coordinate_transformation_mode: mode, ...attributes } = given.attributes
  return mode === 'output_half_pixel' ? { ...given, attributes } : null
}

/** Its second input, of constants, as the attribute that it was. */
function withAttribute(given: GradientCase, known: readonly string[]): GradientCase {
  const name = given.op === 'Split' ? 'split' : 'axes'
  const [first, second] = given.inputs
  if (!known.includes(name) || !/^(Split|Squeeze|Unsqueeze|Reduce\w+)$/.test(given.op)) return given
  if (second?.kind !== 'constant') return given
  const attributes: Plain = { ...given.attributes, [name]: second.data }
  return { ...given, inputs: [first!], attributes }
}

/** Before set 13 a softmax ran over all axes from its own on, taken as one: the same over the last. */
function softmaxOf(given: GradientCase, opset: number): GradientCase | null {
  if (opset >= 13 || !/^(Log)?Softmax$/.test(given.op)) return given
  const [input] = given.inputs
  const last = input?.kind === 'parameter' ? input.shape.length - 1 : 0
  const { axis = -1 } = given.attributes
  return axis === -1 || axis === last ? { ...given, attributes: { axis: last } } : null
}
