import type { CoordinatorStartOptions } from './commands/coordinator-start.ts'
import type { CliIo } from './io.ts'

export async function runCoordinatorStart(_options: CoordinatorStartOptions, _io: CliIo): Promise<number> {
  throw new Error('bug: the body of this command is not here yet')
}
