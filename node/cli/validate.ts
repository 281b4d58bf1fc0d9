/**
 * Body of `starling validate`: reads a job file, compiles its model as a peer would, and says what the job will cost. It
 * downloads nothing and opens no socket. The job's data is not read.
 */

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Backend } from '../../engine/backends/backend.ts'
import { trainingSpec } from '../../engine/job-settings.ts'
import { readModel } from '../../engine/onnx/read.ts'
import { compileProgram, type TrainingProgram, type TrainingSpec } from '../../engine/program.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { readJobFile } from '../job-file.ts'
import type { JobSpec } from '../job-spec.ts'
import { bytes, count, printable } from '../terminal/format.ts'
import type { ValidateOptions } from './commands/validate.ts'
import { type CliIo, writeJson } from './io.ts'

/** How a model alone is tried, without a job: as a classifier, with a usual batch. */
const specWithoutJob: TrainingSpec = {
  batch: 32,
  loss: 'softmax_cross_entropy',
  optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
}

/** Bytes of one parameter on the wire; int8 has a scale for each of its blocks. */
const codecBytes = { f32: 4, int8: 1.02 } as const

interface ModelFacts {
  path: string
  opset: number
  parameters: number
  tensors: number
  /** How often each operator occurs, the most frequent first. */
  operators: Record<string, number>
  input: { name: string; dtype: string; shape: readonly number[] }
  classes: number | null
}

interface JobFacts {
  name: string
  /** Bytes that each peer sends in a round. */
  round_bytes_per_peer: number
  /** Samples that a round trains on, all peers together. */
  round_samples: number
}

/**
 * Prints what was found; 0 when a peer could train it.
 * @throws {SwarmError} naming everything that is wrong.
 */
export async function runValidate({ path, json }: ValidateOptions, io: CliIo): Promise<number> {
  const target = resolve(io.cwd, path)
  const isModel = target.endsWith('.onnx')
  const job = isModel ? undefined : await readJobFile(target)
  const spec = job === undefined ? specWithoutJob : trainingSpec(job.spec.model.loss, job.spec.train)
  const model = await inspectModel(job?.modelPath ?? target, spec)
  const facts = job === undefined ? undefined : jobFacts(job.spec, model.parameters)
  if (json) writeJson(io, { success: true, model, ...(facts === undefined ? {} : { job: facts }) })
  else for (const line of report(model, facts, spec)) io.stdout.write(`${line}\n`)
  return exitCodes.ok.code
}

/**
 * Compiles the model at `path` for `spec`.
 * @throws {SwarmError} DATA_MISSING; what {@link compileProgram} throws.
 */
async function inspectModel(path: string, spec: TrainingSpec): Promise<ModelFacts> {
  const file = await readFile(path).catch((cause: unknown) => {
    throw new SwarmError('DATA_MISSING', `the model ${path} cannot be read`, {
      cause,
      hint: "A job file's model.file is taken from the job file's folder.",
    })
  })
  // a copy, since Buffer.slice does not copy as Uint8Array.slice does, and the engine knows no Buffer
  const model = new Uint8Array(file)
  const { opset, graph } = readModel(model)
  const program: TrainingProgram = await compileProgram(model, spec, await openBackend())
  return {
    path,
    opset,
    parameters: program.parameterCount,
    tensors: program.parameters.length,
    operators: countOf(graph.nodes.map(({ opType }) => opType)),
    input: program.input,
    classes: program.classes,
  }
}

/** Compiling asks the runtime for shapes, which any backend knows. */
async function openBackend(): Promise<Backend> {
  const { openNativeBackend } = await import('../../engine/backends/native.ts')
  try {
    return await openNativeBackend({ threads: 1 })
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    const { openWasmBackend } = await import('../../engine/backends/wasm.ts')
    return openWasmBackend(await import('onnxruntime-web'), { threads: 1 })
  }
}

function countOf(words: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])))
}

/** One row of N peers: each sends `2 · (N − 1)/N · c · P` bytes for P parameters of c bytes (butterfly all-reduce). */
function jobFacts({ name, train, swarm }: JobSpec, parameters: number): JobFacts {
  const { minPeers, codec } = swarm
  return {
    name,
    round_bytes_per_peer: Math.round(2 * ((minPeers - 1) / minPeers) * codecBytes[codec] * parameters),
    round_samples: minPeers * train.batchSize * train.localSteps,
  }
}

function report(model: ModelFacts, job: JobFacts | undefined, { loss }: TrainingSpec): string[] {
  const { input, classes, operators } = model
  const of = classes === null ? '' : ` over ${count(classes)} classes`
  const used = Object.entries(operators).map(([operator, times]) => `${operator} ${times}`)
  const lines = [
    `model      ${count(model.parameters)} parameters in ${model.tensors} tensors, opset ${model.opset}`,
    `operators  ${printable(used.join(', '), 1_000)}`,
    `input      ${printable(input.name)} ${input.dtype} [${input.shape.join(', ')}]`,
    `loss       ${loss}${of}`,
  ]
  if (job === undefined) return [...lines, 'The model can be trained.']
  return [
    `job        ${job.name}`,
    ...lines,
    `round      ${count(job.round_samples)} samples; each peer sends ${bytes(job.round_bytes_per_peer)}`,
    'The job can be launched.',
  ]
}
