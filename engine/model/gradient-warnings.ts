/**
 * What a model does to its own gradients that hardly anybody means: an output that is made a probability before a loss
 * that does so itself, and weights that get no gradient, because all that they move is rounded, compared or picked.
 * Both train without an error, and badly. Each is a sentence with the remedy; none changes what is done.
 */
import { gradientFlows, ruleOf } from '../gradients/rules.ts'
import type { PreparedModel } from '../import/import-model.ts'
import { flowsThrough } from '../import/trainable.ts'
import { movements } from '../loss/label-weights.ts'
import type { LossKind } from '../loss/loss.ts'
import type { Graph, Node } from '../onnx/graph.ts'
import { bufferNames, listed, looksFixed } from './exporter-warnings.ts'

/** Sentences on `prepared`, borrowed. `losses`: the job's, or all that the output fits. */
export function gradientWarnings(prepared: PreparedModel, losses: readonly LossKind[]): string[] {
  return [...squashedTwice(prepared.graph, losses), ...withoutGradient(prepared)]
}

/** Operators whose output is a probability. A LogSoftmax is harmless: a softmax of it is the softmax of its input. */
const probabilities: ReadonlySet<string> = new Set(['Softmax', 'Sigmoid'])

/** The losses that take logits, and make probabilities of them (loss.ts). */
const ofLogits: ReadonlySet<LossKind> = new Set(['softmax_cross_entropy', 'binary_cross_entropy'])

/**
 * A softmax of probabilities can tell classes apart by a factor of e at most, a sigmoid of them is never below a half:
 * the loss stays high, whatever is learned.
 */
function squashedTwice(graph: Graph, losses: readonly LossKind[]): string[] {
  const maker = outputMaker(graph)
  const taking = losses.filter((loss) => ofLogits.has(loss))
  if (maker === undefined || !probabilities.has(maker.opType) || taking.length === 0) return []
  return [
    `the output is a ${maker.opType} (node '${nameOf(maker)}'), and ${taking.join(' and ')} ` +
      `${taking.length === 1 ? 'takes' : 'take'} logits, to make probabilities of them: two in a row learn little; ` +
      'export the model without it, and apply it to what the trained model gives',
  ]
}

/** The node that computes the output, before it is only moved. */
function outputMaker({ nodes, outputs }: Graph): Node | undefined {
  const makers = makersOf(nodes)
  let maker = makers.get(outputs[0]!)
  while (maker !== undefined && movements.has(maker.opType)) maker = makers.get(maker.inputs[0]!)
  return maker
}

function makersOf(nodes: readonly Node[]): Map<string, Node> {
  return new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
}

/** Names that exporters make up for numbers of the source code: PyTorch's older one and tf2onnx. */
const madeUp = /^(onnx::|\/|const_)/

/**
 * Weights between which and the output something stands through which no gradient flows; what looks like a buffer or a
 * number of the source code is meant to be compared.
 */
function withoutGradient({ model, graph, unmoving }: PreparedModel): string[] {
  const stops = stopsOf(graph)
  const isMeant = (name: string) =>
    model.roles.size === 0 &&
    (madeUp.test(name) || bufferNames.test(name) || looksFixed(graph.constants.get(name)!) !== null)
  const stopped = new Map<string, { first: Node; names: string[] }>()
  for (const name of unmoving) {
    const node = stops.get(name)
    if (node === undefined || isMeant(name)) continue
    const found = stopped.get(node.opType) ?? { first: node, names: [] }
    stopped.set(node.opType, found)
    found.names.push(name)
  }
  return [...stopped.values()].map(
    ({ first, names }) =>
      `weights that get no gradient and stay as they are (${names.length}: ${listed(names)}): ${reasonOf(first)}; ` +
      'train on what it is computed from, or let the gradient pass it by x + (y - x).detach()',
  )
}

function reasonOf(node: Node): string {
  const rule = ruleOf(node.opType)
  const place = `${node.opType} (node '${nameOf(node)}')`
  return rule.kind === 'constant' ? `none flows through ${place}, ${rule.reason}` : `none flows into ${place}`
}

/**
 * The values on which the output depends, other than by a gradient, with the node that stops it, the nearest. What a
 * file gives to an operator as its setting (scales, bounds, pads) is none of them.
 */
function stopsOf(graph: Graph): Map<string, Node> {
  const reached = new Set(graph.outputs)
  const stops = new Map<string, Node>()
  for (const node of graph.nodes.toReversed()) {
    const isReached = node.outputs.some((name) => reached.has(name))
    const behind = node.outputs.map((name) => stops.get(name)).find((stop) => stop !== undefined)
    if (!isReached && behind === undefined) continue
    const isFlat = node.opType === 'Cast' || ruleOf(node.opType).kind === 'constant'
    for (const [index, name] of node.inputs.entries()) {
      const isFlowing = flowsThrough(node, index, gradientFlows)
      if (isFlowing && isReached) reached.add(name)
      else if (isFlowing || isFlat || !graph.constants.has(name)) {
        stops.set(name, isFlowing ? behind! : node)
      }
    }
  }
  return stops
}

function nameOf({ name, outputs }: Node): string {
  return name || outputs[0]!
}
