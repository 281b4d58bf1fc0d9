/** The command line around the commands: help, mistyped words, errors in both forms, exit codes. */

import { expect, onTestFinished, test, vi } from 'vitest'
import { Interruption } from '../../../node/cli/io.ts'
import { runProgram } from '../../../node/cli/program.ts'
import { renderError } from '../../../node/cli/render-error.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'

interface Ran {
  exitCode: number
  stdout: string
  stderr: string
}

async function run(words: readonly string[], signal = new AbortController().signal): Promise<Ran> {
  const { io, output } = recordingIo(signal)
  const exitCode = await runProgram(words, io, '1.2.3')
  return { exitCode, ...output }
}

function recordingIo(signal: AbortSignal, env: Record<string, string> = {}) {
  const output = { stdout: '', stderr: '' }
  const stream = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      output[name] += text
    },
  })
  return { output, io: { stdout: stream('stdout'), stderr: stream('stderr'), env, cwd: '/', signal } }
}

const commands = [
  'launch',
  'list',
  'show',
  'watch',
  'stop',
  'export',
  'validate',
  'gradcheck',
  'simulate',
  'doctor',
  'node start',
  'coordinator start',
]

test.each(commands)('%s has help with examples and --json, on stdout', async (command) => {
  const { exitCode, stdout, stderr } = await run([...command.split(' '), '--help'])
  expect(exitCode).toBe(0)
  expect(stderr).toBe('')
  expect(stdout).toContain(`Usage: starling ${command}`)
  expect(stdout).toContain('--json')
  expect(stdout).toMatch(new RegExp(`Examples:\n(  starling .*\n)*  starling ${command}`))
  expect(stdout).not.toContain('default: false')
})

test('help shows values as they are typed', async () => {
  const { stdout } = await run(['node', 'start', '--help'])
  expect(stdout.replace(/\s+/g, ' ')).toContain('(default: /ip4/0.0.0.0/tcp/0 /ip4/0.0.0.0/tcp/0/ws)')
  expect(stdout.replace(/\s+/g, ' ')).toContain('(choices: auto, native, wasm, webgpu, default: auto)')
})

test('the help of the whole lists every command and every exit code', async () => {
  const { stdout } = await run(['--help'])
  for (const command of commands) expect(stdout).toContain(`\n  ${command.split(' ')[0]} `)
  for (const code of [0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 103, 104, 105, 130, 143]) {
    expect(stdout).toMatch(new RegExp(`^ +${code}  \\w`, 'm'))
  }
})

test('help is understood before a command as --help is after it, also for a word that is none', async () => {
  expect(await run(['help', 'node', 'start'])).toEqual(await run(['node', 'start', '--help']))
  const { exitCode, stdout } = await run(['help', 'lanch'])
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('launch [options] <job.yaml>')])
})

test('--version prints the version and nothing else', async () => {
  expect(await run(['--version'])).toEqual({ exitCode: 0, stdout: '1.2.3\n', stderr: '' })
})

test.each([
  [['lanch'], "unknown command 'lanch'", 'Did you mean launch?'],
  [['launch', 'job.yaml', '--locl', '3'], "unknown option '--locl'", 'Did you mean --local?'],
  [['node', 'strt'], "unknown command 'strt'", 'Did you mean start?'],
  [['launch'], "missing required argument 'job.yaml'", "Try 'starling launch --help'."],
  [
    ['launch', 'job.yaml', '--local', '2', '--detach'],
    "option '-d, --detach' cannot be used with option '--local <peers>'",
    "Try 'starling launch --help'.",
  ],
  [['coordinator'], "'starling coordinator' needs a command", "Try 'starling coordinator --help'."],
  [[], "'starling' needs a command", "Try 'starling --help'."],
])('%j is answered with what is wrong and what was probably meant', async (words, message, hint) => {
  expect(await run(words)).toEqual({ exitCode: 2, stdout: '', stderr: `error: ${message}\nhint: ${hint}\n` })
})

test.each([
  ['on the command line', ['--swarm-key', ''], undefined],
  ['in the environment', [], ''],
])('an empty name of a key file %s starts no open swarm', async (_, words, variable) => {
  vi.stubEnv('STARLING_SWARM_KEY', variable)
  onTestFinished(() => void vi.unstubAllEnvs())
  for (const command of ['coordinator start', 'node start', 'list']) {
    const { exitCode, stderr } = await run([...command.split(' '), ...words])
    expect(exitCode).toBe(2)
    expect(stderr).toContain('is invalid. It must be the name of a file.')
  }
})

test('with --json an error is one JSON document on stdout', async () => {
  const { exitCode, stdout, stderr } = await run(['launch', 'job.yaml', '--local', '33', '--json'])
  expect([exitCode, stderr]).toEqual([2, ''])
  expect(JSON.parse(stdout)).toEqual({
    success: false,
    error: {
      code: 'USAGE',
      message: expect.stringContaining("'33' is invalid. It must be a whole number from 1 to 32."),
      hint: "Try 'starling launch --help'.",
    },
  })
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGPIPE', 0],
] as const)('a command ended by %s exits with %i and says nothing', async (name, code) => {
  const controller = new AbortController()
  controller.abort(new Interruption(name))
  expect(await run(['doctor'], controller.signal)).toEqual({ exitCode: code, stdout: '', stderr: '' })
})

test('an error is shown with its remedy, in colour only where that is wanted', () => {
  const error = new SwarmError('PORT_IN_USE', 'port 4001 is in use', {
    hint: 'Choose another with --listen.',
  })
  const plain = recordingIo(new AbortController().signal)
  renderError(plain.io, error, { json: false })
  expect(plain.output.stderr).toBe('error: port 4001 is in use\nhint: Choose another with --listen.\n')
  const forced = recordingIo(new AbortController().signal, { FORCE_COLOR: '1' })
  renderError(forced.io, error, { json: false })
  expect(forced.output.stderr).toContain('\u001b[31merror:\u001b[39m port')
})

test('text of strangers in an error cannot steer the terminal', () => {
  const { io, output } = recordingIo(new AbortController().signal)
  renderError(io, new SwarmError('REFUSED', 'owner \u001b[2J said\nno'), { json: false })
  expect(output.stderr).toBe('error: owner [2J said\nno\n')
})

test('a bug is shown with its stack and asks to be reported', () => {
  const { io, output } = recordingIo(new AbortController().signal)
  renderError(io, new Error('bug: impossible'), { json: false })
  expect(output.stderr).toMatch(
    /^error: bug: impossible\nhint: This is a bug in Starling.*\nError: bug: impossible\n {4}at /,
  )
})
