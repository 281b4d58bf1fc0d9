/**
 * The command line `starling`: which commands there are, and what happens around every one of them: help, suggestions for
 * mistyped words, errors in one form, exit codes. What a command does is in the file with its name beside this one.
 */

import { Command, CommanderError } from 'commander'
import { isAbort, SwarmError } from '../../protocols/core/errors.ts'
import { exitCodeLines, exitCodeOfError, exitCodes } from '../exit-codes.ts'
import type { Perform } from './action.ts'
import { addCoordinatorStart } from './commands/coordinator-start.ts'
import { addDoctor } from './commands/doctor.ts'
import { addExport } from './commands/export.ts'
import { addLaunch } from './commands/launch.ts'
import { addList } from './commands/list.ts'
import { addNodeStart } from './commands/node-start.ts'
import { addShow } from './commands/show.ts'
import { addStop } from './commands/stop.ts'
import { addValidate } from './commands/validate.ts'
import { addWatch } from './commands/watch.ts'
import { examples } from './common-options.ts'
import { type CliIo, Interruption } from './io.ts'
import { renderError } from './render-error.ts'

/**
 * Runs one command line. `argv`: the words after the program's name; `version`: what `--version` prints.
 * Never throws: an error is written to `io`, and told by the exit code that is returned.
 */
export async function runProgram(argv: readonly string[], io: CliIo, version: string): Promise<number> {
  let exitCode: number = exitCodes.ok.code
  const perform: Perform = async (body) => {
    exitCode = await body(io)
  }
  try {
    await createProgram(io, perform, version).parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    return failed(error, io, argv.includes('--json'))
  }
}

function createProgram(io: CliIo, perform: Perform, version: string): Command {
  const program = new Command('starling')
    .description('Trains ONNX models on a swarm of donated computers, peer to peer.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // usage errors are thrown as well, and written there in our form
      writeErr: () => {},
      getOutHelpWidth: () => io.stdout.columns ?? 80,
      getOutHasColors: () => false,
    })
    .addHelpText('after', rootHelp)
  addLaunch(program, perform)
  addList(program, perform)
  addShow(program, perform)
  addWatch(program, perform)
  addStop(program, perform)
  addExport(program, perform)
  addValidate(program, perform)
  addDoctor(program, perform)
  addNodeStart(group(program, 'node', 'give compute to a swarm'), perform)
  addCoordinatorStart(group(program, 'coordinator', 'watch runs and judge whether they converge'), perform)
  return program
}

/** A noun with verbs; alone it is a usage error that names them. */
function group(program: Command, name: string, summary: string): Command {
  const noun = program.command(name).summary(summary).description(summary)
  return noun.action(() => {
    const verbs = noun.commands.map((command) => command.name()).join(', ')
    throw usageError(`'starling ${name}' needs a verb: ${verbs}`, `Try 'starling ${name} --help'.`)
  })
}

const rootExamples = examples([
  'starling launch examples/glyphs/job.yaml --local 3    train on this machine, now',
  'starling node start --mdns                            give compute to a swarm nearby',
  'starling doctor                                       when something does not work',
])

const rootHelp = `${rootExamples}\nExit codes:\n${exitCodeLines().join('\n')}\n`

/** Tells the person and gives the exit code. */
function failed(error: unknown, io: CliIo, json: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok.code // --help, --version
  if (error instanceof Interruption) {
    return exitCodes[error.cause === 'SIGINT' ? 'interrupted' : 'terminated'].code
  }
  if (isAbort(error) && io.signal.aborted) return failed(io.signal.reason, io, json)
  const shown = error instanceof CommanderError ? fromCommander(error) : error
  renderError(io, shown, { json })
  return exitCodeOfError(shown)
}

/** commander's message is `error: …`, followed on a second line by `(Did you mean …?)` where it has a guess. */
function fromCommander({ code, message }: CommanderError): SwarmError {
  if (code === 'commander.help') return usageError('a command is needed', "Try 'starling --help'.")
  const [first = message, suggestion] = message.replace(/^error: /, '').split('\n')
  return usageError(first, suggestion?.replace(/^\((.*)\)$/, '$1') ?? "Try 'starling --help'.")
}

function usageError(message: string, hint: string): SwarmError {
  return new SwarmError('USAGE', message, { hint })
}
