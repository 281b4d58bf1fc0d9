import type { StopOptions } from './commands/stop.ts'
import type { CliIo } from './io.ts'

export async function runStop(_options: StopOptions, _io: CliIo): Promise<number> {
  throw new Error('bug: the body of this command is not here yet')
}
