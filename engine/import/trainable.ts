/**
 * Which tensors of a file are trained, which are measured, and which stay as they are.
 *
 * A weight: a float tensor through which the output can be moved, of one dimension or more and finite. Where PyTorch's
 * exporter noted that a tensor was a buffer or a constant, it is none. Scalars are constants: exporters write literals
 * of the source code as such; where roles are noted, a single number without one is a literal too, whatever its shape.
 * A statistic: the running mean or variance that a BatchNormalization reads from the file. What the job freezes is
 * neither: a BatchNormalization whose statistics are frozen goes by them in training too.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { type Graph, intOf, type Model, type Node } from '../onnx/graph.ts'
import type { Constant } from '../onnx/types.ts'

/** Whether the loss moves with input `index` of operator `opType`. */
export type Flows = (opType: string, index: number) => boolean

export interface Trainable {
  readonly weights: ReadonlyMap<string, Constant>
  readonly statistics: ReadonlyMap<string, Constant>
  /** Names of what would be one of the two, and is frozen. */
  readonly frozen: readonly string[]
  /** Names of what would be weights if the output moved with them. */
  readonly unmoving: readonly string[]
}

/**
 * Sorts the tensors `names` of `graph`; the results keep their order. `freeze`: patterns of names, where `*` stands for
 * any characters and `?` for one.
 * @throws {SwarmError} MODEL_UNSUPPORTED for a pattern that freezes nothing.
 */
export function trainableTensors(
  { graph, roles, names }: { graph: Graph; roles: Model['roles']; names: readonly string[] },
  flows: Flows,
  freeze: readonly string[],
): Trainable {
  const measured = statisticNames(graph)
  const reached = reachedThrough(graph, flows, measured)
  const isLikeWeight = (name: string, { dtype, shape, data }: Constant) =>
    dtype === 'float32' &&
    (roles.get(name) ?? 'PARAMETER') === 'PARAMETER' &&
    (roles.has(name) || (shape.length > 0 && (roles.size === 0 || data.length > 1))) &&
    areFinite(data as Float32Array)
  const here = names.flatMap((name) => {
    const constant = graph.constants.get(name)
    return constant === undefined ? [] : [[name, constant] as const]
  })
  const like = here.filter(([name, constant]) => isLikeWeight(name, constant))
  const weights = like.filter(([name]) => reached.has(name))
  const isOther = new Set(weights.map(([name]) => name))
  const statistics = here.filter(([name]) => measured.has(name) && !isOther.has(name))
  const frozen = frozenNames(
    [...weights, ...statistics].map(([name]) => name),
    freeze,
  )
  const isFree = ([name]: readonly [string, Constant]) => !frozen.has(name)
  return {
    weights: new Map(weights.filter(isFree)),
    statistics: new Map(statistics.filter(isFree)),
    frozen: [...frozen],
    unmoving: like.flatMap(([name]) => (reached.has(name) || measured.has(name) ? [] : [name])),
  }
}

/** ONNX's numbers for the types that move by less than one: float32, float16, float64, bfloat16. */
const floats: ReadonlySet<number> = new Set([1, 10, 11, 16])

/** Whether the loss moves with input `index` of `node`: a cast to whole numbers or truth values stops it too. */
export function flowsThrough({ opType, attributes }: Node, index: number, flows: Flows): boolean {
  return flows(opType, index) && (opType !== 'Cast' || floats.has(intOf(attributes, 'to', 1)))
}

/**
 * Names of the values that move the graph's outputs, other than as one of the statistics `measured` or as a bound that
 * a file gives to a Clip: a literal, whatever its shape.
 */
function reachedThrough(graph: Graph, flows: Flows, measured: ReadonlySet<string>): Set<string> {
  const reached = new Set(graph.outputs)
  for (const node of graph.nodes.toReversed()) {
    const { opType, inputs, outputs } = node
    if (!outputs.some((name) => reached.has(name))) continue
    const isGiven = (name: string, index: number) =>
      (opType === 'BatchNormalization' && index > 2 && measured.has(name)) ||
      (opType === 'Clip' && index > 0 && graph.constants.has(name))
    for (const [index, name] of inputs.entries()) {
      if (flowsThrough(node, index, flows) && !isGiven(name, index)) reached.add(name)
    }
  }
  return reached
}

/** Tensors that a BatchNormalization takes as its running mean and variance. */
function statisticNames({ nodes, constants }: Graph): Set<string> {
  const normalisations = nodes.filter(({ opType }) => opType === 'BatchNormalization')
  const read = normalisations.flatMap(({ inputs }) => inputs.slice(3, 5))
  return new Set(read.filter((name) => constants.get(name)?.dtype === 'float32'))
}

function frozenNames(names: readonly string[], freeze: readonly string[]): Set<string> {
  const frozen = new Set<string>()
  for (const glob of freeze) {
    const hits = names.filter((name) => matches(glob, name))
    for (const name of hits) frozen.add(name)
    if (hits.length > 0) continue
    const known = names.slice(0, 3).join("', '")
    throw new SwarmError(
      'MODEL_UNSUPPORTED',
      `'${glob}' freezes nothing: no tensor of the model has such a name`,
      {
        hint: `Names are as in the file: '${known}', ...; starling validate --json lists them.`,
      },
    )
  }
  return frozen
}

/**
 * Whether `name` matches `glob`. Goes back to the last star only, which is enough, so that no pattern of a stranger's
 * job takes more than the product of both lengths.
 */
function matches(glob: string, name: string): boolean {
  let [at, from] = [0, 0]
  let star = -1
  for (let i = 0; i < name.length; ) {
    if (glob[at] === '*') {
      star = at++
      from = i
    } else if (glob[at] === '?' || glob[at] === name[i]) {
      at++
      i++
    } else if (star >= 0) {
      at = star + 1
      i = ++from
    } else return false
  }
  while (glob[at] === '*') at++
  return at === glob.length
}

/** A loop, because a callback for each of 10^8 elements takes a second. Only what is not finite differs from itself. */
function areFinite(values: Float32Array): boolean {
  let difference = 0
  for (let i = 0; i < values.length; i++) difference += values[i]! - values[i]!
  return difference === 0
}
