/** How a command's options reach its body: the body is loaded when the command runs, so that `--help` loads none. */

import type { CliIo } from './io.ts'

/** Runs the body of a command and keeps its exit code for the program's end. */
export type Perform = (body: (io: CliIo) => Promise<number>) => Promise<void>
