import type { NodeStartOptions } from './commands/node-start.ts'
import type { CliIo } from './io.ts'

export async function runNodeStart(_options: NodeStartOptions, _io: CliIo): Promise<number> {
  throw new Error('bug: the body of this command is not here yet')
}
