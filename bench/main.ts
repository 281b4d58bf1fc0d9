/**
 * `npm run bench -- [NAME] [--json]`: runs one measurement, or all. Each is a file beside this one that says what it
 * measures and how; its rows go to stdout, as a table for people or as one JSON document.
 */

import { parseArgs } from 'node:util'
import { benchReduce } from './reduce.ts'
import { benchStartUp } from './start-up.ts'
import { machineNow, machineText } from './statistics.ts'
import { benchStep } from './step.ts'

interface Settings {
  json: boolean
  peers: number
  parameters: number
  rounds: number
}

interface Measurement {
  name: string
  summary: string
  run(settings: Settings): Promise<object[]>
}

const measurements: readonly Measurement[] = [
  { name: 'step', summary: 'a training step, by three forward passes of onnxruntime', run: benchStep },
  { name: 'reduce', summary: 'an average of real peers, by a raw TCP stream', run: benchReduce },
  {
    name: 'start-up',
    summary: 'nodes from their spawn to their first round, by bare Node and onnxruntime',
    run: benchStartUp,
  },
]

const usage = `Usage: npm run bench -- [NAME] [options]

${measurements.map(({ name, summary }) => `  ${name.padEnd(12)} ${summary}`).join('\n')}

Without a name all of them run, one after another.

  --json             one JSON document instead of tables
  --peers N          reduce: peers, 2 to 8 (default 3)
  --parameters N     reduce: length of the vectors (default 1000000)
  --rounds N         reduce: rounds that are counted (default 20)
  --help             this text
`

process.exitCode = await main()

async function main(): Promise<number> {
  const { settings, chosen, isHelp } = readArguments()
  if (isHelp) {
    process.stdout.write(usage)
    return 0
  }
  if (settings === undefined || chosen.length === 0) {
    process.stderr.write(usage)
    return 2
  }
  const machine = machineNow()
  if (!settings.json) process.stdout.write(`${machineText(machine)}\n`)
  const results: { bench: string; rows: object[] }[] = []
  for (const { name, summary, run } of chosen) {
    if (!settings.json) process.stdout.write(`\n${name}: ${summary}\n`)
    results.push({ bench: name, rows: await run(settings) })
  }
  if (settings.json) process.stdout.write(`${JSON.stringify({ machine, results }, null, 2)}\n`)
  return 0
}

/** `settings` is undefined, or `chosen` empty, when the words make no sense. */
function readArguments(): {
  settings: Settings | undefined
  chosen: readonly Measurement[]
  isHelp: boolean
} {
  try {
    const { values, positionals } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        peers: { type: 'string', default: '3' },
        parameters: { type: 'string', default: '1000000' },
        rounds: { type: 'string', default: '20' },
      },
      allowPositionals: true,
    })
    const chosen = measurements.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
    const isKnown = positionals.every((word) => measurements.some(({ name }) => name === word))
    const settings = {
      json: values.json,
      peers: wholeNumber(values.peers, 2, 8),
      parameters: wholeNumber(values.parameters, 1, 100_000_000),
      rounds: wholeNumber(values.rounds, 1, 10_000),
    }
    return { settings, chosen: isKnown ? chosen : [], isHelp: values.help }
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : error}\n\n`)
    return { settings: undefined, chosen: [], isHelp: false }
  }
}

function wholeNumber(text: string, min: number, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max)
    throw new Error(`${text} is not a whole number from ${min} to ${max}`)
  return value
}
