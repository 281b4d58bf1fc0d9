/**
 * `npm run bench -- [NAME] [options]`: runs one measurement, or all that do not take long. Rows go to stdout, as a table
 * for people or as one JSON document. A measurement that fails is a row too: the others have been paid for.
 */

import { Command, CommanderError, Option } from 'commander'
import { addMeasurements, type Measure, shortMeasurements } from './commands.ts'
import { machineNow, machineText } from './statistics.ts'

type Result = { bench: string; rows: object[] } | { bench: string; failure: string }

const machine = machineNow()
const results: Result[] = []
let hasBegun = false

const measure: Measure = (rows) => async (_, command) => {
  const options = command.optsWithGlobals<Parameters<typeof rows>[0]>()
  const name = command.name()
  if (!options.json && !hasBegun) process.stdout.write(`${machineText(machine)}\n`)
  hasBegun = true
  if (!options.json) process.stdout.write(`\n${name}: ${command.summary()}\n`)
  try {
    results.push({ bench: name, rows: await rows(options) })
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error)
    process.stderr.write(`error: ${name}: ${failure}\n`)
    results.push({ bench: name, failure })
  }
}

process.exitCode = await main(process.argv.slice(2))

async function main(words: readonly string[]): Promise<number> {
  const isJson = words.includes('--json')
  try {
    for (const line of linesOf(words)) await createProgram().parseAsync(line, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? 0 : 2
  }
  if (isJson) process.stdout.write(`${JSON.stringify({ machine, results }, null, 2)}\n`)
  return results.some((result) => 'failure' in result) ? 1 : 0
}

/** What is asked for, as one command line for each measurement: a line without a name asks for all short ones. */
function linesOf(words: readonly string[]): string[][] {
  const isWhole = words.some((word) => !word.startsWith('-') || word === '-h' || word === '--help')
  return isWhole ? [[...words]] : shortMeasurements.map((name) => [name, ...words])
}

function createProgram(): Command {
  const program = new Command('npm run bench --')
    .description('Measures Starling, as ratios to a limit or a peer that is measured in the same run.')
    .usage('[NAME] [options]')
    .helpOption('-h, --help', 'show this help')
    .addOption(new Option('--json', 'one JSON document instead of tables').default(false, 'tables'))
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      `\nWithout a name all of them run, one after another, but converge and churn, which take long.\nOptions of each: npm run bench -- NAME --help\n`,
    )
  addMeasurements(program, measure)
  return program
}
