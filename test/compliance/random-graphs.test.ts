/**
 * A thousand random graphs on every backend. Forward values and gradients are compared with WASM's; WASM's gradients, along
 * a random direction, with central differences of the float64 reference. Several graphs share one model file, so that a
 * session's start does not cost more than what is tested.
 *
 * A failure prints its seed. Seeds that failed once are in random-graph-seeds.json, and are run before all others.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Backend, Executable } from '../../engine/backends/backend.ts'
import { opsetTarget, opsetWritten } from '../../engine/onnx/normalise.ts'
import {
  derivativeError,
  largestDifference,
  modelOf,
  referenceDerivative,
} from '../unit/engine/fuzz/graph-model.ts'
import { type Proposal, type RandomGraph, randomGraph } from '../unit/engine/fuzz/random-graph.ts'
import { backends } from './backends.ts'
import { model } from './graphs.ts'

/** Graphs in one model. */
const groupSize = 20

/** Operator sets that the groups take turns in: the oldest and the newest that training graphs are written in. */
const opsets = [opsetTarget, opsetWritten]

/**
 * What each backend is compared on: `graphs` whose nodes it has kernels for, forward and backward. `tolerance`: of an element, as
 * a share of the largest in its tensor; both sides are float32 in another order.
 *
 * WebGPU: windows over three spatial axes have no kernel. SwiftShader compiles a shader for each form of each node, a tenth of
 * a second a graph at first, so only the first graphs are run; STARLING_TEST_GRAPHS sets another number.
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

/** Ten times what the slowest backend took on a quiet machine, for one that is not. */
const timeoutMs = (graphs: number) => Math.max(120_000, 2_000 * graphs)

/** Of a derivative along a direction, as a share of the sum of its terms' magnitudes. */
const derivativeTolerance = 1e-3

const keptSeeds = JSON.parse(
  readFileSync(new URL('../fixtures/random-graph-seeds.json', import.meta.url), 'utf8'),
) as number[]

function seedsOf(count: number): number[] {
  return [...keptSeeds, ...Array.from({ length: count }, (_, index) => index + 1)]
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
/** One session of each backend stays open: WebGPU keeps its compiled shaders as long as any does, a third of the time in the end. */
const kept: Executable[] = []
const negation = model({
  inputs: { x: { dtype: 'float32', shape: [1] } },
  outputs: ['y'],
  nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }],
})
beforeAll(async () => {
  for (const { title, open } of backends) {
    const backend = await open()
    opened.set(title, backend)
    kept.push(await backend.compile(negation))
  }
}, 60_000)
afterAll(async () => {
  for (const executable of kept) await executable.release()
})

const describeGraph = ({ seed, nodes }: RandomGraph) => `seed ${seed}: ${nodes.map(({ op }) => op).join(' ')}`

describe.each(rows)('on $graphs random graphs', ({ title, graphs, hasKernels, tolerance }) => {
  let wasm: Awaited<ReturnType<typeof resultsOf>>
  beforeAll(async () => {
    wasm = await resultsOf(opened.get('wasm')!, seedsOf(graphs), hasKernels)
  }, timeoutMs(graphs))

  test(`${title} agrees with wasm in values and gradients`, { timeout: timeoutMs(graphs) }, async () => {
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
