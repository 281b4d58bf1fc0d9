/** Runs a command of `starling` inside this process, with a home of its own unless one is given. */

import { Interruption } from '../../../node/cli/io.ts'
import { runProgram } from '../../../node/cli/program.ts'
import { testFolder } from './program.ts'

export interface Ran {
  exitCode: number
  stdout: string
}

/** Until it ends, or is terminated since it has said `enough` on stdout. */
export async function runCommand(words: readonly string[], enough?: string, home?: string): Promise<Ran> {
  const stop = new AbortController()
  let stdout = ''
  const write = (text: string) => {
    stdout += text
    if (enough !== undefined && text.includes(enough)) stop.abort(new Interruption('SIGTERM'))
  }
  const env = { STARLING_HOME: home ?? (await testFolder()) }
  const io = { stdout: { write }, stderr: { write: () => {} }, env, cwd: '/', signal: stop.signal }
  const exitCode = await runProgram(words, io, '1')
  return { exitCode, stdout }
}
