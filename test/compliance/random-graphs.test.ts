/**
 * A thousand random graphs on every backend. Forward values and gradients are compared with WASM's; WASM's gradients,
 * along a random direction, with central differences of the float64 reference. Several graphs share one model file, so
 * that a session's start does not cost more than what is tested. On WebGPU they stand in the form for that kind of
 * device, which spells out more.
 *
 * A failure prints its seed. STARLING_TEST_SEEDS=417-417 runs that graph alone, 1001-5000 others than the usual ones;
 * seeds that failed once are in random-graph-seeds.json, and are run before the usual ones.
 */
import { readFileSync } from 'node:fs'
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../engine/backends/backend.ts'
import { opsetTarget, opsetWritten } from '../../engine/import/opsets.ts'
import {
  derivativeError,
  largestDifference,
  modelOf,
  referenceDerivative,
} from '../unit/engine/fuzz/graph-model.ts'
import { type RandomGraph, randomGraph } from '../unit/engine/fuzz/random-graph.ts'
import { openBackend } from './backends.ts'

const usualSeeds = '1-1000'
/**
 * Graphs in one model: a session of all of them takes WebGPU a minute to open, forty sessions four seconds together.
 */
const groupSize = 25

/**
 * Operator sets that the graphs take turns in, by their seeds: the oldest and the newest that training graphs are
 * written in.
 */
const opsets = [opsetTarget, opsetWritten]

/** `tolerance`: of an element, as a share of the largest in its tensor; both sides are float32 in another order. */
const rows = [
  { title: 'native', tolerance: 1e-4 },
  { title: 'webgpu', tolerance: 1e-3 },
] as const

/** Of a derivative along a direction, as a share of the sum of its terms' magnitudes. */
const derivativeTolerance = 1e-3

const keptSeeds = JSON.parse(
  readFileSync(new URL('../fixtures/random-graph-seeds.json', import.meta.url), 'utf8'),
) as number[]

const chosenSeeds = process.env.STARLING_TEST_SEEDS
const [firstSeed, lastSeed] = (chosenSeeds ?? usualSeeds).split('-').map(Number) as [number, number]
const seeds = [
  ...new Set([
    ...(chosenSeeds === undefined ? keptSeeds : []),
    ...Array.from({ length: lastSeed - firstSeed + 1 }, (_, index) => firstSeed + index),
  ]),
]

const groups = opsets.flatMap((opset, turn) => {
  const graphs = seeds.filter((seed) => seed % opsets.length === turn).map(randomGraph)
  return Array.from({ length: Math.ceil(graphs.length / groupSize) }, (_, group) => ({
    graphs: graphs.slice(group * groupSize, (group + 1) * groupSize),
    opset,
  }))
})

/** Far beyond what a software device takes for all graphs: a machine may have other work. */
const timeoutMs = 4_000_000

/** The results of all graphs on `backend`, written for its kind of device, by group. */
async function resultsOn(backend: Backend) {
  const device = backend.name === 'webgpu' ? 'gpu' : 'cpu'
  const results = []
  for (const { graphs, opset } of groups) {
    const made = modelOf(graphs, opset, device)
    const executable = await backend.compile(made.model)
    results.push({ placed: made.placed, values: await executable.run(made.feeds) })
    await executable.release()
  }
  return results
}

const describeGraph = ({ seed, nodes }: RandomGraph) => `seed ${seed}: ${nodes.map(({ op }) => op).join(' ')}`

let wasm: Awaited<ReturnType<typeof resultsOn>>
beforeAll(async () => {
  wasm = await resultsOn(await openBackend('wasm'))
}, timeoutMs)

test.each(rows)(
  '$title agrees with wasm in values and gradients',
  { timeout: timeoutMs },
  async ({ title, tolerance }) => {
    const others = await resultsOn(await openBackend(title))
    const failures = wasm.flatMap(({ placed, values }, group) =>
      placed.flatMap(({ graph, output, gradients }) =>
        [output, ...gradients.values()].flatMap((name) => {
          const error = largestDifference(values[name]!, others[group]!.values[name]!)
          return error < tolerance ? [] : [`${describeGraph(graph)}: ${name} differs by ${error}`]
        }),
      ),
    )
    expect(failures).toEqual([])
  },
)

test('the gradients on wasm are the derivatives of the reference', { timeout: 120_000 }, () => {
  const all = wasm.flatMap(({ placed, values }) => placed.map((one) => ({ one, values })))
  const errors = all.flatMap(({ one, values }) => {
    const derivative = referenceDerivative(one)
    return derivative === null ? [] : [{ one, error: derivativeError(one, values, derivative) }]
  })
  const failures = errors.filter(({ error }) => !(error < derivativeTolerance))
  expect(failures.map(({ one, error }) => `${describeGraph(one.graph)}: off by ${error}`)).toEqual([])
  expect(errors.length).toBeGreaterThan(0.9 * seeds.length)
})

test.runIf(chosenSeeds === undefined)('a thousand graphs hold every operator of the steps many times', () => {
  const counts = new Map<string, number>()
  for (const { op } of groups.flatMap(({ graphs }) => graphs.flatMap(({ nodes }) => nodes))) {
    counts.set(op, (counts.get(op) ?? 0) + 1)
  }
  expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5000)
  expect(counts.size).toBeGreaterThan(80)
  expect([...counts].filter(([, count]) => count < 3)).toEqual([])
})
