// @ts-check
/**
 * `npm test`: linter, compiler, tests. All three run, whatever the first say; the exit code is that of the worst. The
 * last line counts the tests, `12 passed, 0 failed`. More words go to vitest: `npm test -- test/unit/coordinator`.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installIfNeeded, root, run } from '../build/checkout.mjs'
import { installChromiumIfNeeded } from '../build/chromium.mjs'
import { installPackage, works } from '../build/debian.mjs'

await installIfNeeded()
await installChromiumIfNeeded()
// without it one test, of a network that is parted, is left out
if (process.platform === 'linux' && !works('ip', ['-V']))
  await installPackage('iproute2', 'which makes networks for tests')
const bin = (/** @type {string} */ path) => join(root, 'node_modules', path)
const folder = mkdtempSync(join(tmpdir(), 'starling-test-'))
const report = join(folder, 'report.json')

/** Name and words of node for each step, the quickest first. */
const steps = /** @type {const} */ ([
  ['lint', [bin('@biomejs/biome/bin/biome'), 'check', '.']],
  ['types', [bin('typescript/bin/tsc')]],
  [
    'tests',
    [bin('vitest/vitest.mjs'), 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
  ],
])

/** @type {string[]} */
const outcomes = []
let exitCode = 0
for (const [name, words] of steps) {
  const code = await run(process.execPath, name === 'tests' ? [...words, ...process.argv.slice(2)] : words)
  outcomes.push(`${name} ${code === 0 ? 'ok' : 'failed'}`)
  exitCode = Math.max(exitCode, code)
  if (code >= 128) break // interrupted
}
process.stdout.write(`${outcomes.join(', ')}\n${countLine()}\n`)
rmSync(folder, { recursive: true })
process.exitCode = exitCode

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
