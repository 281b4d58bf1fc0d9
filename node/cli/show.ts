import type { ShowOptions } from './commands/show.ts'
import type { CliIo } from './io.ts'

export async function runShow(_options: ShowOptions, _io: CliIo): Promise<number> {
  throw new Error('bug: the body of this command is not here yet')
}
