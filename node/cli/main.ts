/**
 * Entry of the command line: joins the program to this process. The first Ctrl-C or SIGTERM asks the command to end, the
 * second ends the process at once. A reader that goes away (`starling watch | head -1`) ends the command too, and is no error.
 * Started with a channel, as by `launch --local`, the command also ends when whoever holds the other end has gone, however
 * that went.
 */

import packageJson from '../../package.json' with { type: 'json' }
import { exitCodes } from './exit-codes.ts'
import { Interruption } from './io.ts'
import { runProgram } from './program.ts'

/**
 * After its command has ended, the process gets this long to end by itself: a native call that is under way in a worker
 * (compute.ts), which to end by force would abort the process, is the compiling of a large model at most.
 */
const exitGraceMs = 10_000

const controller = new AbortController()

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (controller.signal.aborted)
      process.exit(exitCodes[name === 'SIGINT' ? 'interrupted' : 'terminated'].code)
    controller.abort(new Interruption(name))
  })
}

process.once('disconnect', () => controller.abort(new Interruption('SIGTERM')))
process.channel?.unref() // waiting for that keeps nothing alive

// Every write after the first that failed fails as well, and is passed over while the command ends.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  controller.abort(new Interruption('SIGPIPE'))
})

// Hints that nobody reads are no reason to end what stdout is still read from.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

process.exitCode = await runProgram(
  process.argv.slice(2),
  {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal: controller.signal,
  },
  packageJson.version,
)

// A handle that a command forgot must not keep a person waiting; the timer itself keeps nothing alive.
setTimeout(() => process.exit(), exitGraceMs).unref()
