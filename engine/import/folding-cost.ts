/**
 * What folding a node can cost, before anything is folded: a file of a hundred bytes can ask for a constant of a
 * terabyte, or for a product of an hour, and the runtime that folds can be neither bounded nor stopped.
 *
 * The bounds themselves are folded-size.ts, by operator foldable.ts; an operator without one is not folded at all.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { foldedBytesMax, foldedElementsMax, foldedOperationsMax } from '../../protocols/core/limits.ts'
import type { Node } from '../onnx/graph.ts'
import type { OpType } from '../onnx/op-types.ts'
import { foldable } from './foldable.ts'
import type { FoldedInputs } from './folded-size.ts'

/** What folding a node costs, at most. */
export interface FoldingCost {
  /** Of each result; infinite when only a value that is not known yet can tell. */
  readonly elements: number
  readonly operations: number
}

/**
 * What folding `node` costs.
 * @throws {SwarmError} MODEL_UNSUPPORTED for an operator that is not folded.
 */
export function foldingCost(node: Node, inputs: FoldedInputs): FoldingCost {
  const isKnown = node.domain === '' && Object.hasOwn(foldable, node.opType)
  const row = isKnown ? foldable[node.opType as OpType] : null
  if (row === null) {
    const operator = node.domain === '' ? node.opType : `${node.domain}.${node.opType}`
    throw new SwarmError(
      'MODEL_UNSUPPORTED',
      `${operator} (node '${node.name}') reads only constants, and is none of what is computed at import`,
      { hint: 'Export the model with its constants computed, or make what they are computed from an input.' },
    )
  }
  const elements = row.elements(node, inputs)
  return { elements, operations: row.operations(node, inputs, elements) }
}

/**
 * @throws {SwarmError} LIMIT_EXCEEDED when `elements`, of a result of `node`, are more than may be folded.
 */
export function checkElements({ opType, name }: Node, elements: number): void {
  if (elements <= foldedElementsMax) return
  throw new SwarmError(
    'LIMIT_EXCEEDED',
    `${opType} (node '${name}') makes a constant of up to ${elements} elements; at most ${foldedElementsMax} are folded`,
    { hint: 'Export the model without constants that are repeated or filled to such a size.' },
  )
}

/**
 * @throws {SwarmError} LIMIT_EXCEEDED when `operations`, of a whole model up to `node`, are more than may be folded.
 */
export function checkOperations(node: Node, operations: number): void {
  checkSum(node, operations, 'operations', foldedOperationsMax)
}

/**
 * @throws {SwarmError} LIMIT_EXCEEDED when `bytes`, of all constants of a model up to `node`, are more than may be folded.
 */
export function checkBytes(node: Node, bytes: number): void {
  checkSum(node, bytes, 'bytes', foldedBytesMax)
}

function checkSum({ opType, name }: Node, sum: number, unit: string, max: number): void {
  if (sum <= max) return
  throw new SwarmError(
    'LIMIT_EXCEEDED',
    `constants up to ${opType} (node '${name}') take up to ${sum} ${unit}; at most ${max} are folded`,
    { hint: 'Export the model with its constants computed, or make what they are computed from an input.' },
  )
}
