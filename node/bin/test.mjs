// @ts-check
/**
 * `npm test`: linter, compiler, tests. All three run, whatever the first say; the exit code is that of the worst. The last
 * line counts the tests, `12 passed, 0 failed`. More words go to vitest: `npm test -- test/unit/coordinator`.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installIfNeeded, root, run } from '../build/checkout.mjs'

await installIfNeeded()
const bin = (/** @type {string} */ path) => join(root, 'node_modules', path)
const folder = mkdtempSync(join(tmpdir(), 'starling-test-'))
const report = join(folder, 'report.json')

const lint = await step('lint', [bin('@biomejs/biome/bin/biome'), 'check', '.'])
const types = await step('types', [bin('typescript/bin/tsc')])
const tests = await step('tests', [
  bin('vitest/vitest.mjs'),
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
])
process.stdout.write(`${countLine()}\n`)
rmSync(folder, { recursive: true })
process.exitCode = Math.max(lint, types, tests)

/**
 * @param {string} name
 * @param {readonly string[]} args of node
 */
async function step(name, args) {
  const code = await run(process.execPath, args)
  process.stdout.write(`${name}: ${code === 0 ? 'ok' : 'failed'}\n`)
  if (code >= 128) process.exit(code) // interrupted
  return code
}

/** A file that could not be loaded has no tests to count: it counts as one that failed. */
function countLine() {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'))
    const broken = testResults.filter(
      (/** @type {{ status: string, assertionResults: unknown[] }} */ file) =>
        file.status === 'failed' && file.assertionResults.length === 0,
    )
    return `${numPassedTests} passed, ${numFailedTests + broken.length} failed`
  } catch {
    return '0 passed, 1 failed'
  }
}
