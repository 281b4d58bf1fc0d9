/** `starling gradcheck`: whether the gradients that training will use are those of the model. */

import { type Command, InvalidArgumentError, Option } from 'commander'
import type { BackendName } from '../../../engine/backends/backend.ts'
import type { LossKind } from '../../../engine/loss/loss.ts'
import type { Precision } from '../../../engine/program/training-program.ts'
import type { Perform } from '../action.ts'
import { examples, wholeNumber, withJson } from '../common-options.ts'
import type { GradcheckOptions } from '../gradcheck.ts'

const backends: readonly BackendName[] = ['native', 'wasm', 'webgpu']
const precisions: readonly Precision[] = ['float32', 'float16']
const losses: readonly LossKind[] = ['softmax_cross_entropy', 'binary_cross_entropy', 'mse', 'l1', 'in_model']

export function addGradcheck(program: Command, perform: Perform): void {
  const command = program
    .command('gradcheck')
    .summary("compare a model's gradients with differences of its loss")
    .description(
      'Derives the gradients of an ONNX model as training would, and compares them, for every parameter and along random ' +
        'directions, with central differences of the loss on a random batch. Ends with 1 when one is wrong.',
    )
    .argument('<model>', 'an ONNX model')
    .addOption(new Option('--backend <name>', 'where to compute').choices(backends).default('native'))
    .addOption(
      new Option('--loss <name>', 'loss to train with (default: the first that fits)').choices(losses),
    )
    .option('--batch <samples>', 'samples of the random batch', wholeNumber(1, 4096), 4)
    .option(
      '--directions <count>',
      'random directions for each parameter, beside its gradient',
      wholeNumber(1, 100),
      2,
    )
    .addOption(
      new Option('--precision <name>', 'what gradients are computed in; the loss is always float32')
        .choices(precisions)
        .default('float32'),
    )
    .option('--tolerance <share>', 'largest difference, as a share', share, 0.05)
    .option('--seed <number>', 'of the batch and the directions', wholeNumber(0, 2 ** 32 - 1), 1)
  withJson(command)
    .addHelpText(
      'after',
      examples([
        'starling gradcheck model.onnx',
        'starling gradcheck model.onnx --backend wasm --seed 7 --json',
        'starling gradcheck model.onnx --precision float16   # whether it can be trained in it',
      ]),
    )
    .action((path: string, options: Omit<GradcheckOptions, 'path'>) =>
      perform(async (io) => {
        const { runGradcheck } = await import('../gradcheck.ts')
        return runGradcheck({ ...options, path }, io)
      }),
    )
}

function share(text: string): number {
  const value = Number(text)
  if (value > 0 && value < 1) return value
  throw new InvalidArgumentError('It must be a number between 0 and 1.')
}
