/** Attributes as the tables of cases write them, as ONNX has them. */
import type { Attribute } from '../../../engine/onnx/graph.ts'
import type { Plain } from './reference-array.ts'

const floatAttributes = new Set([
  ...[
    'alpha',
    'beta',
    'gamma',
    'epsilon',
    'bias',
    'lambd',
    'scale',
    'softcap',
    'cubic_coeff_a',
    'spatial_scale',
    'extrapolation_value',
  ],
])
/** What only the reference reads. */
const pseudoAttributes = new Set(['positions', 'boolean'])

/** The attributes of a node, without what only the reference reads. */
export function onnxAttributes(attributes: Plain): Record<string, Attribute> {
  return Object.fromEntries(
    Object.entries(attributes)
      .filter(([name]) => !pseudoAttributes.has(name))
      .map(([name, value]) => [name, onnxAttribute(name, value)]),
  )
}

function onnxAttribute(name: string, value: Plain[string]): Attribute {
  if (typeof value === 'string') return { kind: 'string', value }
  if (typeof value === 'number') return { kind: floatAttributes.has(name) ? 'float' : 'int', value }
  const list = value as readonly (string | number)[]
  return typeof list[0] === 'string'
    ? { kind: 'strings', value: list as readonly string[] }
    : { kind: 'ints', value: list as readonly number[] }
}
