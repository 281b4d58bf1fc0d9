/**
 * `npm run bench -- NAME [--json]`: runs one measurement by name. Each is a file beside this one that says what it measures
 * and how; its rows go to stdout, as lines for people or as one JSON document.
 */

import { parseArgs } from 'node:util'
import { benchStep } from './step.ts'

/** By the name on the command line. */
const measurements: Readonly<
  Record<string, { summary: string; run(options: { json: boolean }): Promise<object[]> }>
> = {
  step: { summary: 'a training step against three forward passes of onnxruntime', run: benchStep },
}

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const [name = ''] = positionals
const measurement = Object.hasOwn(measurements, name) ? measurements[name] : undefined
if (measurement === undefined) {
  const list = Object.entries(measurements).map(([known, { summary }]) => `  ${known.padEnd(10)} ${summary}`)
  process.stderr.write(`Usage: npm run bench -- NAME [--json]\n\n${list.join('\n')}\n`)
  process.exitCode = 2
} else {
  const rows = await measurement.run({ json: values.json })
  if (values.json) process.stdout.write(`${JSON.stringify({ bench: name, rows }, null, 2)}\n`)
}
