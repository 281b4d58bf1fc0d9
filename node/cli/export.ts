import type { ExportOptions } from './commands/export.ts'
import type { CliIo } from './io.ts'

export async function runExport(_options: ExportOptions, _io: CliIo): Promise<number> {
  throw new Error('bug: the body of this command is not here yet')
}
