/**
 * A thousand random graphs on every backend. Forward values and gradients are compared with WASM's; WASM's gradients, along
 * a random direction, with central differences of the float64 reference. Several graphs share one model file, so that a
 * session's start does not cost more than what is tested.
 *
 * A failure prints its seed. Seeds that failed once are in random-graph-seeds.json, and are run before all others.
 */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../engine/backends/backend.ts'
import { addForward } from '../../engine/forward.ts'
import { differentiate } from '../../engine/gradients/differentiate.ts'
import { gradientFlows } from '../../engine/gradients/rules.ts'
import { Formulas } from '../../engine/onnx/formulas.ts'
import { GraphBuilder, type Value } from '../../engine/onnx/graph-builder.ts'
import { opsetTarget, opsetWritten } from '../../engine/onnx/normalise.ts'
import type { Constant } from '../../engine/onnx/types.ts'
import { writeModel } from '../../engine/onnx/write.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import type { Tensor } from '../../protocols/core/tensor.ts'
import {
  evaluateGraph,
  type Known,
  type Proposal,
  type RandomGraph,
  randomGraph,
} from '../unit/engine/fuzz/random-graph.ts'
import { onnxAttributes } from '../unit/engine/onnx-attributes.ts'
import { backends } from './backends.ts'

/** Graphs in one model. */
const groupSize = 20

/** Operator sets that the groups take turns in: the oldest and the newest that training graphs are written in. */
const opsets = [opsetTarget, opsetWritten]

/**
 * What each backend is compared on: `graphs` whose nodes it has kernels for, forward and backward. `tolerance`: of an element, as
 * a share of the largest in its tensor; both sides are float32 in another order.
 *
 * WebGPU: windows over three spatial axes have no kernel. SwiftShader compiles a shader for each form of each node, half a
 * second a graph, so only the first graphs are run; STARLING_TEST_GRAPHS sets another number.
 */
const rows: readonly Row[] = [
  { title: 'native', graphs: 1000, tolerance: 1e-4, hasKernels: () => true },
  {
    title: 'webgpu',
    graphs: Number(process.env.STARLING_TEST_GRAPHS ?? 40),
    tolerance: 1e-3,
    hasKernels: ({ op, inputs }) => !/Conv|Pool|Resize/.test(op) || inputs[0]!.shape.length < 5,
  },
]

interface Row {
  title: string
  graphs: number
  tolerance: number
  hasKernels(proposal: Proposal): boolean
}

/** Of a derivative along a direction, as a share of the sum of its terms' magnitudes. */
const derivativeTolerance = 1e-3

const keptSeeds = JSON.parse(
  readFileSync(new URL('../fixtures/random-graph-seeds.json', import.meta.url), 'utf8'),
) as number[]

function seedsOf(count: number): number[] {
  return [...keptSeeds, ...Array.from({ length: count }, (_, index) => index + 1)]
}

/** A graph inside a model with others: the names of its values there. */
interface Placed {
  readonly graph: RandomGraph
  readonly weights: Float32Array
  readonly output: string
  /** By parameter. */
  readonly gradients: ReadonlyMap<string, string>
}

/** One model of `graphs`: outputs and gradients of Σ weight·output. */
function modelOf(graphs: readonly RandomGraph[], opset: number) {
  const f = new Formulas(new GraphBuilder(opset))
  const outputs: Record<string, Value> = {}
  const feeds: Record<string, Tensor> = {}
  const placed = graphs.map((graph): Placed => {
    const place = (name: string) => `g${graph.seed}/${name}`
    for (const { name, shape, data } of graph.parameters) {
      feeds[place(name)] = { dtype: 'float32', shape, data: Float32Array.from(data) }
    }
    const given = new Map(
      graph.parameters.map(({ name, shape }) => [
        name,
        f.builder.input(place(name), { dtype: 'float32', shape }),
      ]),
    )
    const forward = addForward(f, forwardModel(graph), given, 'training')
    const random = seededRandom(graph.seed)
    const weights = Float32Array.from(graph.output.data, () => random.normal())
    const wanted = movingParameters(graph)
    const gradients = differentiate(
      f,
      forward.nodes,
      forward.output,
      f.tensor(weights, graph.output.shape),
      wanted.map((name) => given.get(name)!),
    )
    outputs[place('y')] = forward.output
    for (const [index, name] of wanted.entries()) outputs[place(`d${name}`)] = gradients[index]!
    return {
      graph,
      weights,
      output: place('y'),
      gradients: new Map(wanted.map((name) => [name, place(`d${name}`)])),
    }
  })
  const inputs = Object.entries(feeds).map(([name, { shape }]) => ({
    name,
    dtype: 'float32' as const,
    shape,
  }))
  return { model: writeModel(f.builder.finish(outputs, inputs)), feeds, placed }
}

function forwardModel({ nodes, constants, output }: RandomGraph) {
  const value = (known: Known | null) =>
    known === null ? null : { name: known.name, dtype: known.dtype, shape: known.shape }
  const unread = { TopK: 'int64' } as const
  return {
    nodes: nodes.map(({ op, inputs, attributes, outputs }, index) => ({
      opType: op,
      name: `n${index}`,
      inputs: inputs.map(value),
      outputs: outputs.map((known, place) =>
        known === null && op === 'TopK'
          ? { name: `n${index}/${place}`, dtype: unread.TopK, shape: outputs[0]!.shape }
          : value(known),
      ),
      attributes: onnxAttributes(attributes),
    })),
    output: value(output)!,
    constants: new Map(constants.map((known) => [known.name, constantOf(known)])),
    parameters: [],
  }
}

function constantOf({ dtype, shape, data }: Known): Constant {
  if (dtype === 'int64') return { dtype, shape, data: BigInt64Array.from(data, BigInt) }
  return { dtype, shape, data: dtype === 'bool' ? Uint8Array.from(data) : Float32Array.from(data) }
}

/** Parameters with which the output moves: none that meets only steps and indices on its way. */
function movingParameters({ nodes, parameters, output }: RandomGraph): string[] {
  const reached = new Set([output.name])
  for (const { op, inputs, outputs } of nodes.toReversed()) {
    if (!outputs.some((value) => value !== null && reached.has(value.name))) continue
    for (const [index, input] of inputs.entries()) {
      if (input !== null && gradientFlows(op, index)) reached.add(input.name)
    }
  }
  return parameters.map(({ name }) => name).filter((name) => reached.has(name))
}

/** The results of all graphs of `seeds` on `backend`, by group. */
async function resultsOf(backend: Backend, seeds: readonly number[], hasKernels: Row['hasKernels']) {
  const groups = []
  for (let start = 0; start < seeds.length; start += groupSize) {
    const opset = opsets[(start / groupSize) % opsets.length]!
    const group = [...new Set(seeds.slice(start, start + groupSize))]
    const made = modelOf(
      group.map((seed) => randomGraph(seed, hasKernels)),
      opset,
    )
    const executable = await backend.compile(made.model)
    groups.push({ placed: made.placed, values: await executable.run(made.feeds) })
    await executable.release()
  }
  return groups
}

const opened = new Map<string, Backend>()
beforeAll(async () => {
  for (const { title, open } of backends) opened.set(title, await open())
})

const describeGraph = ({ seed, nodes }: RandomGraph) => `seed ${seed}: ${nodes.map(({ op }) => op).join(' ')}`

describe.each(rows)('on $graphs random graphs', ({ title, graphs, hasKernels, tolerance }) => {
  let wasm: Awaited<ReturnType<typeof resultsOf>>
  beforeAll(async () => {
    wasm = await resultsOf(opened.get('wasm')!, seedsOf(graphs), hasKernels)
  }, 120_000)

  test(`${title} agrees with wasm in values and gradients`, { timeout: 120_000 }, async () => {
    const others = await resultsOf(opened.get(title)!, seedsOf(graphs), hasKernels)
    const failures = wasm.flatMap(({ placed, values }, group) =>
      placed.flatMap(({ graph, output, gradients }) =>
        [output, ...gradients.values()].flatMap((name) => {
          const error = largestDifference(values[name]!, others[group]!.values[name]!)
          return error < tolerance ? [] : [`${describeGraph(graph)}: ${name} differs by ${error}`]
        }),
      ),
    )
    expect(failures).toEqual([])
  })

  test('the gradients on wasm are the derivatives of the reference', { timeout: 120_000 }, () => {
    const all = wasm.flatMap(({ placed, values }) => placed.map((one) => ({ one, values })))
    const errors = all.flatMap(({ one, values }) => {
      const derivative = referenceDerivative(one)
      return derivative === null ? [] : [{ one, error: derivativeError(one, values, derivative) }]
    })
    const failures = errors.filter(({ error }) => !(error < derivativeTolerance))
    expect(failures.map(({ one, error }) => `${describeGraph(one.graph)}: off by ${error}`)).toEqual([])
    expect(errors.length).toBeGreaterThan(0.9 * graphs)
  })
})

test('a thousand graphs hold every operator of the steps many times', () => {
  const counts = new Map<string, number>()
  for (const seed of seedsOf(1000)) {
    for (const { op } of randomGraph(seed, () => true).nodes) counts.set(op, (counts.get(op) ?? 0) + 1)
  }
  expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5000)
  expect(counts.size).toBeGreaterThan(80)
  expect([...counts].filter(([, count]) => count < 3)).toEqual([])
})

/** How far the backend's derivative along the reference's direction is from the reference's, as a share of its terms. */
function derivativeError(
  { gradients }: Placed,
  values: Readonly<Record<string, Tensor>>,
  { direction, value }: Derivative,
): number {
  const terms = [...gradients].flatMap(([name, place]) =>
    Array.from(values[place]!.data, (element, index) => element * direction.get(name)![index]!),
  )
  const scale = terms.reduce((sum, term) => sum + Math.abs(term), 1e-3)
  return Math.abs(terms.reduce((sum, term) => sum + term, 0) - value) / scale
}

const largest = (a: number, b: number) => (a >= b ? a : b) // NaN wins

function largestDifference(expected: Tensor, actual: Tensor): number {
  const differences = Array.from(expected.data, (value, index) => Math.abs(actual.data[index]! - value))
  return differences.reduce(largest, 0) / Array.from(expected.data, Math.abs).reduce(largest, 1e-3)
}

interface Derivative {
  readonly value: number
  /** By parameter. */
  readonly direction: ReadonlyMap<string, Float64Array>
}

/** The derivative of Σ weight·output along a random direction; null where a kink lies so near that two step sizes disagree. */
function referenceDerivative({ graph, weights, gradients }: Placed): Derivative | null {
  const random = seededRandom(-graph.seed)
  const direction = new Map(
    graph.parameters.map(({ name, data }) => [name, Float64Array.from(data, () => random.normal())]),
  )
  const lossAt = (distance: number) => {
    const values = new Map(
      graph.parameters
        .filter(({ name }) => gradients.has(name))
        .map(({ name, data }) => [name, data.map((value, i) => value + distance * direction.get(name)![i]!)]),
    )
    return evaluateGraph(graph, values).reduce((sum, value, index) => sum + weights[index]! * value, 0)
  }
  const [coarse, fine] = [1e-4, 1e-5].map((h) => (lossAt(h) - lossAt(-h)) / (2 * h)) as [number, number]
  return Math.abs(coarse - fine) > 1e-5 * (1 + Math.abs(fine)) ? null : { value: fine, direction }
}
