/**
 * From an optimizer's name and numbers to what steps: inside a graph, or over the flat array that all peers agree on.
 */
import { assert, unreachable } from '../../protocols/core/assert.ts'
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import type { FlatOptimizer } from './flat.ts'
import { flatAdamW } from './flat-adamw.ts'
import { flatLion } from './flat-lion.ts'
import { flatSgd } from './flat-sgd.ts'
import { graphAdafactor } from './graph-adafactor.ts'
import { graphAdamW } from './graph-adamw.ts'
import { graphLion } from './graph-lion.ts'
import { graphMuon } from './graph-muon.ts'
import type { GraphOptimizer } from './graph-optimizer.ts'
import { graphSgd } from './graph-sgd.ts'
import type { OptimizerSpec } from './spec.ts'

export function graphOptimizer(spec: OptimizerSpec): GraphOptimizer {
  switch (spec.kind) {
    case 'sgd':
      return graphSgd(spec)
    case 'adamw':
      return graphAdamW(spec)
    case 'adafactor':
      return graphAdafactor(spec)
    case 'lion':
      return graphLion(spec)
    case 'muon':
      return graphMuon(spec)
    default:
      return unreachable(spec)
  }
}

/**
 * The same optimizer over the flat array of `weights`. Adafactor and Muon have none: they work on whole matrices, whose
 * products in plain JavaScript would take longer than the step. A job with one local step may not name them
 * (protocols/jobs/spec.ts).
 */
export function flatOptimizer(spec: OptimizerSpec, weights: readonly ParameterSpec[]): FlatOptimizer {
  assert(spec.kind !== 'adafactor' && spec.kind !== 'muon', `${spec.kind} does not step over flat arrays`)
  switch (spec.kind) {
    case 'sgd':
      return flatSgd(spec)
    case 'adamw':
      return flatAdamW(spec, weights)
    case 'lion':
      return flatLion(spec, weights)
    default:
      return unreachable(spec)
  }
}
