import type { LaunchOptions } from './commands/launch.ts'
import type { CliIo } from './io.ts'

export async function runLaunch(_options: LaunchOptions, _io: CliIo): Promise<number> {
  throw new Error('bug: the body of this command is not here yet')
}
