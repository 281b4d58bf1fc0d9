/**
 * A thousand random graphs on every backend. Forward values and gradients are compared with WASM's; WASM's gradients, along
 * a random direction, with central differences of the float64 reference. Several graphs share one model file, so that a
 * session's start does not cost more than what is tested.
 *
 * A failure prints its seed. Seeds that failed once are in random-graph-seeds.json, and are run before all others.
 */
import { readFileSync } from 'node:fs'
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../engine/backends/backend.ts'
import { opsetTarget, opsetWritten } from '../../engine/onnx/normalise.ts'
import {
  derivativeError,
  largestDifference,
  modelOf,
  referenceDerivative,
} from '../unit/engine/fuzz/graph-model.ts'
import { type RandomGraph, randomGraph } from '../unit/engine/fuzz/random-graph.ts'
import { openBackend } from './backends.ts'

/** Graphs of each backend, besides those that failed once. */
const graphCount = 1000
/** Graphs in one model. */
const groupSize = 20

/** Operator sets that the groups take turns in: the oldest and the newest that training graphs are written in. */
const opsets = [opsetTarget, opsetWritten]

/**
 * `tolerance`: of an element, as a share of the largest in its tensor; both sides are float32 in another order.
 *
 * WebGPU runs the first graphs only: SwiftShader compiles a shader for each new form of a node, and hands thousands of small ones to
 * its threads, which takes long where other programs want the cores. STARLING_TEST_GRAPHS sets another number.
 */
const rows = [
  { title: 'native', graphs: graphCount, tolerance: 1e-4 },
  { title: 'webgpu', graphs: Number(process.env.STARLING_TEST_GRAPHS ?? 60), tolerance: 1e-3 },
] as const

/** Far beyond what a software device takes for all graphs: a machine may have other work. */
const timeoutMs = 4_000 * graphCount

/** Of a derivative along a direction, as a share of the sum of its terms' magnitudes. */
const derivativeTolerance = 1e-3

const keptSeeds = JSON.parse(
  readFileSync(new URL('../fixtures/random-graph-seeds.json', import.meta.url), 'utf8'),
) as number[]

const seeds = [...keptSeeds, ...Array.from({ length: graphCount }, (_, index) => index + 1)]

const groups = Array.from({ length: Math.ceil(seeds.length / groupSize) }, (_, group) => ({
  graphs: [...new Set(seeds.slice(group * groupSize, (group + 1) * groupSize))].map(randomGraph),
  opset: opsets[group % opsets.length]!,
}))

/** The results of the first `count` graphs on `backend`, written for its kind of device, by group. */
async function resultsOn(backend: Backend, count: number) {
  const device = backend.name === 'webgpu' ? 'gpu' : 'cpu'
  const results = []
  for (const { graphs, opset } of groups.slice(0, Math.ceil((keptSeeds.length + count) / groupSize))) {
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
  wasm = await resultsOn(await openBackend('wasm'), graphCount)
}, timeoutMs)

test.each(rows)(
  '$title agrees with wasm on $graphs graphs, in values and gradients',
  { timeout: timeoutMs },
  async ({ title, graphs, tolerance }) => {
    const others = await resultsOn(await openBackend(title), graphs)
    const failures = wasm.slice(0, others.length).flatMap(({ placed, values }, group) =>
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
  expect(errors.length).toBeGreaterThan(0.9 * graphCount)
})

test('a thousand graphs hold every operator of the steps many times', () => {
  const counts = new Map<string, number>()
  for (const { op } of groups.flatMap(({ graphs }) => graphs.flatMap(({ nodes }) => nodes))) {
    counts.set(op, (counts.get(op) ?? 0) + 1)
  }
  expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5000)
  expect(counts.size).toBeGreaterThan(80)
  expect([...counts].filter(([, count]) => count < 3)).toEqual([])
})
