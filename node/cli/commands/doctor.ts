/** `starling doctor`: say what is wrong with this machine and how to mend it. */

import type { Command } from 'commander'
import type { Perform } from '../action.ts'
import { examples, wholeNumber, withJson } from '../common-options.ts'
import type { DoctorOptions } from '../doctor.ts'

export function addDoctor(program: Command, perform: Perform): void {
  const command = program
    .command('doctor')
    .summary('check this machine, and say how to mend what is wrong')
    .description('Checks everything that a peer needs on this machine. Ends with 1 when something is broken.')
    .option('--port <port>', 'TCP port that the coordinator will listen on', wholeNumber(0, 65_535), 4001)
  withJson(command)
    .addHelpText('after', examples(['starling doctor', 'starling doctor --port 9001 --json']))
    .action((options: DoctorOptions) =>
      perform(async (io) => {
        const { runDoctor } = await import('../doctor.ts')
        return runDoctor(options, io)
      }),
    )
}
