/** Options that several commands share, each written once so that it means the same everywhere. */

import { type Command, InvalidArgumentError, Option } from 'commander'
import type { NamedSwarm } from '../network/coordinator-address.ts'
import { type ProgressMode, progressModes } from '../terminal/create-renderer.ts'

/** Every command has these. */
export interface CommonOptions {
  /** Print JSON on stdout, errors too. */
  json: boolean
}

/** Commands that ask the swarm. */
export interface SwarmOptions extends NamedSwarm {
  coordinator: string[]
}

/** Commands that follow a run. */
export interface ProgressOptions {
  /** How events are shown. `json` whenever `--json` is given. */
  progress: ProgressMode
}

/** Adds `--json`. */
export function withJson(command: Command): Command {
  return command.option('--json', 'print JSON on stdout, errors too', false)
}

/** Adds `--coordinator` and `--swarm-key`. */
export function withCoordinator(command: Command): Command {
  const coordinator = new Option('--coordinator <multiaddr...>', 'addresses of coordinators')
    .argParser(multiaddrs)
    .env('STARLING_COORDINATOR')
    .default([], 'the one on this machine')
  return command.addOption(coordinator).addOption(swarmKey('file with the key of a private swarm'))
}

/** `--swarm-key`. */
export function swarmKey(description: string): Option {
  return new Option('--swarm-key <file>', description).argParser(nameOfFile).env('STARLING_SWARM_KEY')
}

/** A variable that is empty or was never set would else mean a swarm that is open to anybody. */
function nameOfFile(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('It must be the name of a file.')
}

/** In the environment variable, commas separate the addresses. */
function multiaddrs(text: string, previous: readonly string[]): string[] {
  return [...previous, ...text.split(',').filter((address) => address !== '')]
}

/** Adds `--progress`. */
export function withProgress(command: Command): Command {
  return command.addOption(
    new Option('--progress <mode>', 'how to show what happens').choices(progressModes).default('auto'),
  )
}

/** How to show events: `--json` means JSON lines, whatever `--progress` says. */
export function progressOf({ json, progress }: CommonOptions & ProgressOptions): ProgressMode {
  return json ? 'json' : progress
}

/** Reads a whole number from `min` to `max`. The returned function throws commander's InvalidArgumentError. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

/** Help text under the options. */
export function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`
}
