/**
 * The command line `starling`: which commands there are, and what happens around every one of them: help, suggestions
 * for mistyped words, errors in one form, exit codes. What a command does is in the file with its name beside this one.
 */

import { Command, CommanderError, Help } from 'commander'
import { isAbort, SwarmError } from '../../protocols/core/errors.ts'
import type { Perform } from './action.ts'
import { addCoordinatorStart } from './commands/coordinator-start.ts'
import { addDoctor } from './commands/doctor.ts'
import { addExport } from './commands/export.ts'
import { addGradcheck } from './commands/gradcheck.ts'
import { addLaunch } from './commands/launch.ts'
import { addList } from './commands/list.ts'
import { addNodeStart } from './commands/node-start.ts'
import { addShow } from './commands/show.ts'
import { addSimulate } from './commands/simulate.ts'
import { addStop } from './commands/stop.ts'
import { addValidate } from './commands/validate.ts'
import { addWatch } from './commands/watch.ts'
import { examples } from './common-options.ts'
import { exitCodeLines, exitCodeOfError, exitCodes } from './exit-codes.ts'
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
  const program = createProgram(io, perform, version)
  try {
    // commander's own `help <command>` fails without a word for one that it does not know
    const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv
    await program.parseAsync(words, { from: 'user' })
    return exitCode
  } catch (error) {
    const shown = error instanceof CommanderError ? fromCommander(error, commandPath(program, argv)) : error
    return shown === undefined ? exitCodes.ok.code : failed(shown, io, argv.includes('--json'))
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
    .configureHelp({
      optionDescription: (option) => asTyped(new Help().optionDescription(option)),
    })
    .addHelpText('after', rootHelp)
  addLaunch(program, perform)
  addList(program, perform)
  addShow(program, perform)
  addWatch(program, perform)
  addStop(program, perform)
  addExport(program, perform)
  addValidate(program, perform)
  addGradcheck(program, perform)
  addSimulate(program, perform)
  addDoctor(program, perform)
  addNodeStart(program.command('node').description('give compute to a swarm'), perform)
  addCoordinatorStart(
    program.command('coordinator').description('watch runs and judge whether they converge'),
    perform,
  )
  return program
}

/**
 * commander's words on an option, without the quotes and brackets in which it writes values. That a switch is off, and a
 * list empty, unless it is given goes without saying.
 */
function asTyped(description: string): string {
  return description
    .replace(/ ?\(default: (false|\[\])\)/, '')
    .replace(/\["(.*?)"\]/, (_, values: string) => values.replaceAll('","', ' '))
    .replaceAll('"', '')
}

const rootExamples = examples([
  'starling launch examples/glyphs/job.yaml --local 3    train on this machine, now',
  'starling node start --mdns                            give compute to a swarm nearby',
  'starling doctor                                       when something does not work',
])

const rootHelp = `${rootExamples}\nExit codes:\n${exitCodeLines().join('\n')}\n`

const exitOfInterruption = { SIGINT: 'interrupted', SIGTERM: 'terminated', SIGPIPE: 'ok' } as const

/** Tells the person and gives the exit code. */
function failed(error: unknown, io: CliIo, json: boolean): number {
  const cause = isAbort(error) && io.signal.aborted ? io.signal.reason : error
  if (cause instanceof Interruption) return exitCodes[exitOfInterruption[cause.cause]].code
  renderError(io, cause, { json })
  return exitCodeOfError(cause)
}

/**
 * A usage error in our form; `undefined` when help or the version was asked for and has been printed. commander's
 * message is `error: …`, followed on a second line by `(Did you mean …?)` where it has a guess.
 */
function fromCommander({ code, exitCode, message }: CommanderError, path: string): SwarmError | undefined {
  if (exitCode === 0) return undefined
  const help = `Try '${path} --help'.`
  if (code === 'commander.help') return new SwarmError('USAGE', `'${path}' needs a command`, { hint: help })
  const [first = message, suggestion] = message.replace(/^error: /, '').split('\n')
  return new SwarmError('USAGE', first, { hint: suggestion?.replace(/^\((.*)\)$/, '$1') ?? help })
}

/** `starling node start`: the command that the first words of `argv` name, as far as they do. */
function commandPath(program: Command, argv: readonly string[]): string {
  const path = ['starling']
  let command: Command | undefined = program
  for (const word of argv) {
    command = command.commands.find((candidate) => candidate.name() === word)
    if (command === undefined) break
    path.push(word)
  }
  return path.join(' ')
}
