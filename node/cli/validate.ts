import type { ValidateOptions } from './commands/validate.ts'
import type { CliIo } from './io.ts'

export async function runValidate(_options: ValidateOptions, _io: CliIo): Promise<number> {
  throw new Error('bug: the body of this command is not here yet')
}
