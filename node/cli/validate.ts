/**
 * Body of `starling validate`: reads a job file, compiles its model as a peer would, sees whether the data fits, and
 * says what the job will cost. It downloads nothing and opens no socket; data that is not on this machine is not
 * checked.
 */

import { resolve } from 'node:path'
import { trainingSpec } from '../../engine/job-settings.ts'
import { type ModelReport, refusal, type UnsupportedNode, validate } from '../../engine/model/validate.ts'
import { compileProgram } from '../../engine/program/compile-program.ts'
import { stepBytes } from '../../engine/program/memory.ts'
import { recomputations } from '../../engine/program/recomputation.ts'
import type { TrainingProgram, TrainingSpec } from '../../engine/program/training-program.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { bytes, count } from '../../protocols/core/quantities.ts'
import { localStepsFirst } from '../../protocols/run/local-steps.ts'
import { codecFor } from '../../protocols/wire/codecs/index.ts'
import { requireFit, requireWholeBatches } from '../job/data-fit.ts'
import { isDataHere, openJobData } from '../job/job-data.ts'
import { type JobFile, readJobFile } from '../job/job-file.ts'
import type { JobSpec } from '../job/job-spec.ts'
import { namingModel, readModelFile } from '../job/model-file.ts'
import { stateWarning } from '../job/state-size.ts'
import { dirsFor } from '../storage/dirs.ts'
import { printable } from '../terminal/format.ts'
import type { CommonOptions } from './common-options.ts'
import { exitCodeOfError, exitCodes } from './exit-codes.ts'
import { type CliIo, writeJson } from './io.ts'
import { openBackend } from './open-backend.ts'
import { failureOf } from './render-error.ts'

export interface ValidateOptions extends CommonOptions {
  /** Path of a job file or of an ONNX model, as typed. */
  path: string
  /** Data set on this machine, instead of the job file's download. */
  data: string | undefined
}

/** Samples of a step where neither a job nor the file says. */
const usualBatch = 32

/** How a model alone is tried, without a job: as a classifier if it can be one. */
const specWithoutJob = {
  optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
} as const

interface ModelFacts {
  path: string
  opset: number
  parameters: number
  tensors: number
  /** How often each operator occurs, the most frequent first. */
  operators: Record<string, number>
  /** What trains, and perhaps not as meant. */
  warnings: readonly string[]
  /** What training does otherwise than running the file. */
  notes: readonly string[]
  inputs: readonly { name: string; dtype: string; shape: readonly number[] }[]
  classes: number | null
  /** Losses that fit the output, the likeliest first; the labels decide. */
  losses: readonly string[]
  /** Floating-point operations of a step on the batch in `inputs`. */
  step_operations: number
  /** Memory of such a step, by estimate, bytes: with all activations kept, and with as few as can be. */
  step_memory_bytes: number
  step_memory_bytes_recomputing: number
  /** With all activations kept, on a device that computes them in float16. */
  step_memory_bytes_float16: number
}

interface JobFacts {
  name: string
  /** Bytes that each peer sends in a round. */
  round_bytes_per_peer: number
  /** Samples that a round trains on, all peers together. */
  round_samples: number
}

interface Found {
  model: ModelFacts
  /** Of a job file only, as `data`. */
  job?: JobFacts
  data?: DataFacts
}

interface DataFacts {
  kind: string
  /** Whether it was on this machine to be looked at; data that does not fit is an error. */
  status: 'fits' | 'not_checked'
}

/**
 * Prints what was found; 0 when a peer could train it.
 * @throws {SwarmError} naming everything that is wrong.
 */
export async function runValidate(options: ValidateOptions, io: CliIo): Promise<number> {
  const target = resolve(io.cwd, options.path)
  const job = target.endsWith('.onnx') ? undefined : await readJobFile(target)
  const path = job?.modelPath ?? target
  const model = await readModelFile(path)
  const seen = await namingModel(path, async () =>
    validate(model, job && trainingSpec(job.spec.model, job.spec.train)),
  )
  if (seen.unsupported.length > 0) return refused(path, seen.unsupported, options, io)
  const backend = await openBackend()
  const { spec, program } = await namingModel(path, async () => {
    const spec: TrainingSpec = job
      ? trainingSpec(job.spec.model, job.spec.train, requireWholeBatches(model, job.spec))
      : { ...specWithoutJob, batch: seen.fixedBatch ?? usualBatch, loss: seen.losses[0]! }
    return { spec, program: await compileProgram(model, spec, backend) }
  })
  const found: Found = {
    model: modelFacts(path, program, { ...seen, notes: [...seen.notes, ...pieceNotes(spec, job)] }),
  }
  if (job !== undefined) {
    const warning = stateWarning(job.spec, program.parameters)
    if (warning !== undefined) found.model.warnings = [...found.model.warnings, warning]
    found.job = jobFacts(job.spec, program.parameterCount)
    found.data = await dataFacts(job, program, options, io)
  }
  if (options.json) writeJson(io, { success: true, ...found })
  else for (const line of report(found, spec)) io.stdout.write(`${line}\n`)
  return exitCodes.ok.code
}

/** That a step runs the graphs more than once, where the file has a batch of its own. */
function pieceNotes({ batch }: TrainingSpec, job: JobFile | undefined): string[] {
  const runs = (job?.spec.train.batchSize ?? batch) / batch
  return runs === 1
    ? []
    : [`the file fixes ${batch} samples: a step is ${runs} runs of it, whose gradients are added up`]
}

/** The same message as everywhere; programs also get one entry for each node. */
function refused(
  path: string,
  unsupported: readonly UnsupportedNode[],
  { json }: ValidateOptions,
  io: CliIo,
): number {
  const { code, message, hint } = refusal(unsupported)
  const error = new SwarmError(code, `${path}: ${message}`, { hint })
  if (!json) throw error
  writeJson(io, { success: false, error: failureOf(error), unsupported })
  return exitCodeOfError(error)
}

function modelFacts(
  path: string,
  { parameterCount, parameters, inputs, classes, stepOperations, memoryWith }: TrainingProgram,
  { opset, operators, warnings, notes, losses }: ModelReport,
): ModelFacts {
  const [kept, ...recomputing] = recomputations.map((what) => stepBytes(memoryWith(what, 'float32'))) as [
    number,
    ...number[],
  ]
  const frequent = Object.entries(operators).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
  return {
    path,
    opset,
    parameters: parameterCount,
    tensors: parameters.length,
    operators: Object.fromEntries(frequent),
    warnings,
    notes,
    inputs,
    classes,
    losses,
    step_operations: stepOperations,
    step_memory_bytes: kept,
    step_memory_bytes_recomputing: Math.min(kept, ...recomputing),
    step_memory_bytes_float16: stepBytes(memoryWith('nothing', 'float16')),
  }
}

/** @throws {SwarmError} as `openJobData` and `requireFit`. */
async function dataFacts(
  { spec, directory }: JobFile,
  program: TrainingProgram,
  options: ValidateOptions,
  io: CliIo,
): Promise<DataFacts> {
  const { data } = spec
  const where = {
    directory,
    dataPath: options.data === undefined ? undefined : resolve(io.cwd, options.data),
    cacheDirectory: dirsFor(io.env).cache,
    ignoredLabel: spec.model.ignoreIndex,
  }
  if (!(await isDataHere(data, where))) return { kind: data.kind, status: 'not_checked' }
  // all glyphs are of one form, so one of each split stands for those that a run draws
  const few = data.kind === 'glyphs' ? { ...data, train: 1, validation: 1 } : data
  const opened = await openJobData(few, { ...where, signal: io.signal })
  requireFit(opened, { ...program, fields: spec.model.inputs })
  return { kind: data.kind, status: 'fits' }
}

/**
 * One row of N peers: each sends `(N − 1)/N · (c + m) · P` bytes for P parameters, which take c bytes in an update and
 * m in a mean (butterfly all-reduce).
 */
function jobFacts({ name, train, swarm }: JobSpec, parameters: number): JobFacts {
  const { minPeers } = swarm
  const { bytesPerElement, meanBytesPerElement } = codecFor(swarm.codec, { kept: swarm.topkKept })
  return {
    name,
    round_bytes_per_peer: Math.round(
      ((minPeers - 1) / minPeers) * (bytesPerElement + meanBytesPerElement) * parameters,
    ),
    round_samples:
      minPeers * train.batchSize * (train.localSteps === 'auto' ? localStepsFirst : train.localSteps),
  }
}

function operationsText(operations: number): string {
  return operations < 1e6 ? count(operations) : `${count(Math.round(operations / 1e6))} million`
}

function mebibytes(size: number): string {
  return `${count(Math.ceil(size / 2 ** 20))} MiB`
}

function report({ model, job, data }: Found, { loss }: TrainingSpec): string[] {
  const { inputs, classes, operators, warnings, notes } = model
  const others = model.losses.filter((other) => other !== loss)
  const of = classes === null ? '' : ` over ${count(classes)} classes`
  const used = Object.entries(operators).map(([operator, times]) => `${operator} ${times}`)
  const lines = [
    `model      ${count(model.parameters)} parameters in ${model.tensors} tensors, opset ${model.opset}`,
    `operators  ${printable(used.join(', '), 1_000)}`,
    ...inputs.map(({ name, dtype, shape }) => `input      ${printable(name)} ${dtype} [${shape.join(', ')}]`),
    `loss       ${loss}${of}${others.length === 0 ? '' : `; its output also fits ${others.join(', ')}`}`,
    `step       ${operationsText(model.step_operations)} floating-point operations`,
    `memory     ${mebibytes(model.step_memory_bytes)} for such a step by estimate, ${mebibytes(model.step_memory_bytes_recomputing)} if activations are recomputed, ${mebibytes(model.step_memory_bytes_float16)} in float16`,
    ...warnings.map((warning) => `warning    ${printable(warning, 1_000)}`),
    ...notes.map((note) => `note       ${printable(note, 1_000)}`),
  ]
  if (job === undefined || data === undefined) return [...lines, 'The model can be trained.']
  const fit = data.status === 'fits' ? 'fits the model' : 'not checked, since it is not on this machine yet'
  return [
    `job        ${job.name}`,
    ...lines,
    `data       ${data.kind}, ${fit}`,
    `round      ${count(job.round_samples)} samples; each peer sends ${bytes(job.round_bytes_per_peer)}`,
    'The job can be launched.',
  ]
}
