/**
 * Random graphs of differentiable operators, small enough that a thousand of them take seconds.
 *
 * A graph grows node by node. A *step* (steps.ts) proposes a node over values that are there, with new parameters and
 * constants; the reference interpreter computes it in float64, which gives the result's shape too, and a result that is
 * too large, not finite or empty is dropped. What nobody read in the end is flattened and joined to the graph's one
 * output.
 */
import { type Random, seededRandom } from '../../../../protocols/core/random.ts'
import { evaluate } from '../reference.ts'
import { type Nd, type Plain, sizeOf } from '../reference-array.ts'
import { steps } from './steps.ts'

export type Dtype = 'float32' | 'int64' | 'int32' | 'bool'

/** A value of the graph, as it was when the graph grew. */
export interface Known extends Nd {
  readonly name: string
  readonly dtype: Dtype
  readonly kind: 'parameter' | 'constant' | 'result'
}

/** A node; `outputs[i]` is null where nobody may read one. */
export interface FuzzNode {
  readonly op: string
  readonly inputs: readonly (Known | null)[]
  readonly attributes: Plain
  readonly outputs: readonly (Known | null)[]
}

export interface RandomGraph {
  readonly seed: number
  readonly nodes: readonly FuzzNode[]
  readonly parameters: readonly Known[]
  readonly constants: readonly Known[]
  readonly output: Known
}

/**
 * What a step proposes. `outputs`: how many the node has, 1 unless told; `read`: how many of them may be read on, all
 * unless told.
 */
export interface Proposal {
  readonly op: string
  readonly inputs: readonly (Known | null)[]
  readonly attributes?: Plain
  readonly outputs?: number
  readonly read?: number
}

/** What a step sees. */
export interface Site {
  readonly random: Random
  /** A value that fits, the younger the likelier; null when none does. */
  pick(fits?: (value: Known) => boolean): Known | null
  parameter(shape: readonly number[], low?: number, high?: number): Known
  constant(dtype: Dtype, shape: readonly number[], data: readonly number[]): Known
}

export type Step = (site: Site) => Proposal | null

/** Elements of one value: central differences in float64 evaluate the whole graph a few times. */
const elementsMax = 150
/** Beyond this, float32 has no digits left for what an exponential or a product makes of it. */
const magnitudeMax = 12
const nodesMax = 7

/** The graph of `seed`. */
export function randomGraph(seed: number): RandomGraph {
  const random = seededRandom(seed)
  const graph = new Growing(random)
  const wanted = 2 + random.integer(nodesMax - 1)
  for (let attempt = 0; attempt < 40 && graph.nodes.length < wanted; attempt++) {
    const proposal = steps[random.integer(steps.length)]!(graph)
    if (proposal === null) graph.discard()
    else graph.add(proposal)
  }
  return { seed, ...graph.finish() }
}

/** The output's elements when `values` stand for the parameters, by name. */
export function evaluateGraph(graph: RandomGraph, values: ReadonlyMap<string, Float64Array>): Float64Array {
  const known = new Map<string, Nd>()
  for (const { name, shape, data } of graph.constants) known.set(name, { shape, data })
  for (const { name, shape, data } of graph.parameters) {
    known.set(name, { shape, data: values.get(name) ?? data })
  }
  for (const { op, inputs, attributes, outputs } of graph.nodes) {
    const given = inputs.map((input) => (input === null ? undefined : known.get(input.name)!))
    for (const [read, output] of outputs.entries()) {
      if (output !== null) known.set(output.name, evaluate(op, given, { ...attributes, read }))
    }
  }
  return known.get(graph.output.name)!.data
}

class Growing implements Site {
  readonly random: Random
  readonly nodes: FuzzNode[] = []
  private readonly values: Known[] = []
  private proposed: Known[] = []
  private count = 0

  constructor(random: Random) {
    this.random = random
    const rank = random.integer(5)
    this.values.push(this.parameter(Array.from({ length: rank }, () => 1 + random.integer(4))))
    this.proposed = []
  }

  pick(fits: (value: Known) => boolean = () => true): Known | null {
    const found = this.values.filter((value) => value.dtype === 'float32' && fits(value))
    if (found.length === 0) return null
    const share = this.random.next() ** 0.5 // the younger half is drawn three times out of four
    return found[Math.floor(share * found.length)]!
  }

  parameter(shape: readonly number[], low = -2, high = 2): Known {
    const data = Float64Array.from({ length: sizeOf(shape) }, () =>
      Math.fround(low + (high - low) * this.random.next()),
    )
    return this.propose({ kind: 'parameter', dtype: 'float32', shape, data })
  }

  constant(dtype: Dtype, shape: readonly number[], data: readonly number[]): Known {
    return this.propose({ kind: 'constant', dtype, shape, data: Float64Array.from(data, Math.fround) })
  }

  discard(): void {
    this.proposed = []
  }

  add({ op, inputs, attributes = {}, outputs = 1, read = outputs }: Proposal): void {
    const given = inputs.map((input) => input ?? undefined)
    const made = Array.from({ length: outputs }, (_, index): Known | null => {
      if (index >= read) return null
      const result = evaluate(op, given, { ...attributes, read: index })
      return { ...result, kind: 'result', dtype: 'float32', name: `v${this.count++}` }
    })
    const used = this.proposed.filter((value) => inputs.includes(value))
    this.discard()
    if (!made.every((value) => value === null || isSound(value))) return
    this.nodes.push({ op, inputs, attributes, outputs: made })
    this.values.push(...used, ...made.filter((value) => value !== null))
  }

  finish(): Omit<RandomGraph, 'seed'> {
    const read = new Set(this.nodes.flatMap(({ inputs }) => inputs))
    const leaves = this.values.filter((value) => value.kind === 'result' && !read.has(value))
    const ends = leaves.length > 0 ? leaves : [this.values[0]!]
    const flat = ends.map((leaf) => {
      const shape = this.constant('int64', [1], [-1])
      this.values.push(shape)
      return this.join('Reshape', [leaf, shape], {}, { shape: [leaf.data.length], data: leaf.data })
    })
    const data = Float64Array.from(flat.flatMap((part) => [...part.data]))
    const output = this.join('Concat', flat, { axis: 0 }, { shape: [data.length], data })
    const of = (kind: Known['kind']) => this.values.filter((value) => value.kind === kind)
    return { nodes: this.nodes, parameters: of('parameter'), constants: of('constant'), output }
  }

  private join(op: string, inputs: readonly Known[], attributes: Plain, result: Nd): Known {
    const output: Known = { ...result, kind: 'result', dtype: 'float32', name: `v${this.count++}` }
    this.nodes.push({ op, inputs, attributes, outputs: [output] })
    return output
  }

  private propose(value: Omit<Known, 'name'>): Known {
    const known = { ...value, name: `${value.kind === 'parameter' ? 'p' : 'c'}${this.count++}` }
    this.proposed.push(known)
    return known
  }
}

function isSound({ data }: Nd): boolean {
  const isSmall = data.length > 0 && data.length <= elementsMax
  return isSmall && data.every((element) => Math.abs(element) <= magnitudeMax) // NaN is not
}
