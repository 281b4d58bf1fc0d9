/** `starling export`: the trained model as an ONNX file or a checkpoint. */

import type { Command } from 'commander'
import type { Perform } from '../action.ts'
import { examples, withCoordinator, withJson } from '../common-options.ts'
import type { ExportOptions } from '../export.ts'

export function addExport(program: Command, perform: Perform): void {
  const command = program
    .command('export')
    .summary('write the trained model as an ONNX file or a checkpoint')
    .description(
      "Fetches the job's model and the best of the states that were measured, and writes them as one ONNX file: the " +
        'graph you launched, with trained weights. A name that ends in .safetensors gets the weights alone, under the ' +
        'names that they have in the file, for PyTorch. Works while the run goes on.',
    )
    .argument('<job>', 'job id, or a name that only one job has')
    .option('-o, --output <file>', 'the file to write (default: <job name>-trained.onnx)')
  withJson(withCoordinator(command))
    .addHelpText(
      'after',
      examples([
        'starling export glyphs-cnn -o trained.onnx',
        'starling export glyphs-cnn -o weights.safetensors',
      ]),
    )
    .action((job: string, options: Omit<ExportOptions, 'job'>) =>
      perform(async (io) => {
        const { runExport } = await import('../export.ts')
        return runExport({ ...options, job }, io)
      }),
    )
}
