/**
 * What each label counts in a mean over predictions, so that pieces of a batch weigh what they count in the whole.
 *
 * A loss that the job names counts all alike, but those that are ignored. One that stands in the model says so itself,
 * by `ignore_index` and weights of classes; it is understood where it reads the batch's labels themselves, in another
 * shape or type. Labels that the model cuts or computes with, as language models do that shift them, all count one:
 * pieces then weigh a little wrong.
 */

import type { TypedNode, Value } from '../graph/graph-builder.ts'
import type { ImportedModel } from '../import/import-model.ts'
import { intOf, textOf } from '../onnx/graph.ts'
import { numbersOf } from '../onnx/types.ts'

/** Weights of labels, >= 0, by label; those that are not in it count 1. */
export type LabelWeights = ReadonlyMap<number, number>

const losses: ReadonlySet<string> = new Set(['SoftmaxCrossEntropyLoss', 'NegativeLogLikelihoodLoss'])

/** Operators after which every element of what they read is there once, with its value. */
export const movements: ReadonlySet<string> = new Set([
  ...['Cast', 'Flatten', 'Identity', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze'],
])

/** What the only loss of a model counts, which reads the input named `labels`; nothing is known of several. */
export function labelWeightsInModel(
  { nodes, constants }: Pick<ImportedModel, 'nodes' | 'constants'>,
  labels: string,
): LabelWeights {
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output?.name, node] as const)))
  const isLabels = (value: Value): boolean => {
    if (value.name === labels) return true
    const maker = makers.get(value.name)
    return maker !== undefined && movements.has(maker.opType) && isLabels(maker.inputs[0]!)
  }
  const [loss, ...others] = nodes.filter(({ opType, inputs }) => losses.has(opType) && isLabels(inputs[1]!))
  return loss === undefined || others.length > 0 ? new Map() : weightsOf(loss, constants)
}

function weightsOf({ inputs, attributes }: TypedNode, constants: ImportedModel['constants']): LabelWeights {
  if (textOf(attributes, 'reduction', 'mean') !== 'mean') return new Map()
  const classes = constants.get(inputs[2]?.name ?? '')
  const weights = new Map(classes === undefined ? [] : numbersOf(classes).entries())
  if (attributes.ignore_index !== undefined) weights.set(intOf(attributes, 'ignore_index', 0), 0)
  return weights
}
