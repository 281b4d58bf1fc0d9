import type { WatchOptions } from './commands/watch.ts'
import type { CliIo } from './io.ts'

export async function runWatch(_options: WatchOptions, _io: CliIo): Promise<number> {
  throw new Error('bug: the body of this command is not here yet')
}
