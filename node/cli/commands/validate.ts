/** `starling validate`: say everything that is wrong with a job before it is launched. */

import type { Command } from 'commander'
import type { Perform } from '../action.ts'
import { examples, withJson } from '../common-options.ts'
import type { ValidateOptions } from '../validate.ts'

export function addValidate(program: Command, perform: Perform): void {
  const command = program
    .command('validate')
    .summary('check a job file and its model without starting anything')
    .description(
      'Reads the job file and its model, derives the backward pass, and reports every problem with its place. The data is ' +
        'checked as far as it is on this machine; nothing is downloaded. Given an ONNX file, checks only that.',
    )
    .argument('<path>', 'a job file, or an ONNX model')
    .option('--data <path>', 'check this data instead of what the job file names')
  withJson(command)
    .addHelpText('after', examples(['starling validate job.yaml', 'starling validate model.onnx --json']))
    .action((path: string, options: Omit<ValidateOptions, 'path'>) =>
      perform(async (io) => {
        const { runValidate } = await import('../validate.ts')
        return runValidate({ ...options, path }, io)
      }),
    )
}
