import type { ListOptions } from './commands/list.ts'
import type { CliIo } from './io.ts'

export async function runList(_options: ListOptions, _io: CliIo): Promise<number> {
  throw new Error('bug: the body of this command is not here yet')
}
