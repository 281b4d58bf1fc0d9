/**
 * Body of `starling gradcheck`: compiles a model as a peer would and checks its gradients on a random batch. What is
 * compared, and when a gradient is wrong, is engine/training/gradient-check.ts's.
 */

import { resolve } from 'node:path'
import type { Backend, BackendName } from '../../engine/backends/backend.ts'
import type { LossKind } from '../../engine/loss/loss.ts'
import { refuse, validate } from '../../engine/model/validate.ts'
import { compileProgram } from '../../engine/program/compile-program.ts'
import type { Precision, TrainingProgram } from '../../engine/program/training-program.ts'
import { checkGradients, type ParameterCheck } from '../../engine/training/gradient-check.ts'
import { randomBatch } from '../../engine/training/random-batch.ts'
import { Trainer } from '../../engine/training/trainer.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { count } from '../../protocols/core/quantities.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import type { Batch } from '../../protocols/core/tensor.ts'
import { namingModel, readModelFile } from '../job/model-file.ts'
import { printable } from '../terminal/format.ts'
import type { CommonOptions } from './common-options.ts'
import { exitCodes } from './exit-codes.ts'
import { type CliIo, writeJson } from './io.ts'
import { openBackend } from './open-backend.ts'
import { table } from './table.ts'

export interface GradcheckOptions extends CommonOptions {
  /** Path of an ONNX model, as typed. */
  path: string
  backend: BackendName
  loss: LossKind | undefined
  /** Samples, >= 1. */
  batch: number
  /** >= 1. */
  directions: number
  /** In (0, 1). */
  tolerance: number
  /** 32 bits. */
  seed: number
  /** Of the gradients; the loss is float32's. */
  precision: Precision
}

/**
 * Prints a line for each parameter and the verdict; 1 when a gradient is wrong.
 * @throws {SwarmError} USAGE for a job file; as reading, compiling and running the model do.
 */
export async function runGradcheck(options: GradcheckOptions, io: CliIo): Promise<number> {
  const path = resolve(io.cwd, options.path)
  if (/\.ya?ml$/i.test(path)) {
    throw new SwarmError(
      'USAGE',
      `gradcheck takes an ONNX model, and ${options.path} is named like a job file`,
      {
        hint: 'Give the file that stands in it as model.file.',
      },
    )
  }
  const model = await readModelFile(path)
  const loss = options.loss ?? (await lossOf(path, model))
  const backend = await openBackend(options.backend)
  const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const
  const spec = { batch: options.batch, loss, optimizer }
  const program = await namingModel(path, () => compileProgram(model, spec, backend))
  const random = seededRandom(options.seed)
  const batch = randomBatch(program, random)
  const { directions, tolerance, precision } = options
  const gradient =
    precision === 'float16'
      ? await gradientOf(await compileProgram(model, { ...spec, precision }, backend), backend, batch)
      : undefined
  const { signal } = io
  const checks = await checkGradients(program, backend, batch, {
    random,
    directions,
    tolerance,
    gradient,
    signal,
  })
  const worst = checks.toSorted((a, b) => rank(b) - rank(a))[0]!
  const isRight = worst.verdict !== 'wrong'
  if (options.json) {
    writeJson(io, { success: isRight, backend: backend.name, loss, worst: worst.name, parameters: checks })
  } else {
    io.stdout.write(report(checks))
    io.stdout.write(
      isRight ? `${conclusion(checks)}\n` : `'${printable(worst.name)}' has a wrong gradient.\n`,
    )
  }
  return isRight ? exitCodes.ok.code : exitCodes.failed.code
}

/** @throws {SwarmError} BACKEND_FAILED where nothing computes in float16, not even by rounding. */
async function gradientOf(program: TrainingProgram, backend: Backend, batch: Batch): Promise<Float32Array> {
  if (program.precision !== 'float16') {
    throw new SwarmError('BACKEND_FAILED', `${backend.name} does not compute in float16 on this machine`, {
      hint: 'Use --backend native, which computes in float32 and rounds.',
    })
  }
  const trainer = new Trainer(program, backend)
  const { gradient } = await trainer.gradient(batch)
  await trainer.release()
  return gradient
}

async function lossOf(path: string, model: Uint8Array): Promise<LossKind> {
  const { losses } = await namingModel(path, async () => {
    const seen = validate(model)
    refuse(seen.unsupported)
    return seen
  })
  return losses[0]!
}

/** Wrong ones before unclear ones before right ones, then by error. */
function rank({ verdict, error }: ParameterCheck): number {
  return error + { right: 0, unclear: 1e6, wrong: 1e12 }[verdict]
}

function report(checks: readonly ParameterCheck[]): string {
  const lines = checks.map(({ name, shape, analytic, numeric, error, uncertainty, verdict }) => [
    printable(name),
    `[${shape.join(', ')}]`,
    analytic.toExponential(3),
    numeric.toExponential(3),
    error.toExponential(1),
    uncertainty.toExponential(1),
    verdict,
  ])
  return table(['PARAMETER', 'SHAPE', 'GRADIENT', 'DIFFERENCE', 'ERROR', 'UNCERTAINTY', ''], lines)
}

function conclusion(checks: readonly ParameterCheck[]): string {
  const unclear = checks.filter(({ verdict }) => verdict === 'unclear').length
  const rest = unclear === 0 ? '' : `; of ${count(unclear)} the loss depends too little to tell`
  return `The gradients of ${count(checks.length - unclear)} parameters agree with differences of the loss${rest}.`
}
