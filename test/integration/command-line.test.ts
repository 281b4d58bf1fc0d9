/** The command `starling` as people start it: another process, from the bundle. */

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, onTestFinished, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const model = join(root, 'examples/glyphs/cnn.onnx')

interface Ended {
  exitCode: number | null
  stdout: string
  stderr: string
}

function starling(...words: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [join(root, 'node/bin/starling.mjs'), ...words], { cwd: root })
  const ended: Ended = { exitCode: null, stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    ended.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    ended.stderr += chunk
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => resolve({ ...ended, exitCode }))
  })
}

async function jobFile(lines: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-job-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'job.yaml')
  await writeFile(path, lines.join('\n'))
  return path
}

const lines = [
  'name: small',
  `model: { file: '${model}', loss: softmax_cross_entropy }`,
  'data: { kind: glyphs, seed: 1, train: 1000, validation: 100 }',
  'train: { optimizer: sgd, learning_rate: 0.1, batch_size: 16, local_steps: 4 }',
  'swarm: { min_peers: 2, codec: f32 }',
  'convergence: { metric: val_accuracy, mode: max, target: 0.9, max_rounds: 5, max_minutes: 1 }',
]

// the first one may have to build; the tests are about what comes after
beforeAll(() => starling('--version'))

test('it builds nothing when nothing changed, and prints the version of package.json', async () => {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  expect(await starling('--version')).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' })
})

test('validate compiles the model of a job and says what a round costs', async () => {
  const { exitCode, stdout } = await starling('validate', await jobFile(lines), '--json')
  expect(exitCode).toBe(0)
  const { job, model } = JSON.parse(stdout)
  expect(model).toMatchObject({ classes: 10, inputs: [{ name: 'image', shape: [16, 1, 28, 28] }] })
  expect(model.losses[0]).toBe('softmax_cross_entropy')
  // two peers send half of the vector to each other, and the sums back: 2 · 1/2 · 4 bytes for each parameter
  expect(job).toEqual({
    name: 'small',
    round_bytes_per_peer: 4 * model.parameters,
    round_samples: 2 * 16 * 4,
  })
})

test('validate names every problem of a job file with its line, on stderr, and exits with 2', async () => {
  const wrong = lines.map((line) =>
    line.replace('batch_size: 16', 'batchsize: 16').replace('max_rounds: 5, ', ''),
  )
  const { exitCode, stdout, stderr } = await starling('validate', await jobFile(wrong))
  expect([exitCode, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(/job\.yaml:4:\d+: train\.batchsize is not a known key/)
  expect(stderr).toMatch(/job\.yaml:6:\d+: convergence\.max_rounds is missing/)
  expect(stderr).toMatch(/\nhint: /)
})

test('a model that is cut short is refused with a remedy', async () => {
  const path = (await jobFile([])).replace('job.yaml', 'model.onnx')
  await writeFile(path, (await readFile(model)).subarray(0, 5_000))
  const { exitCode, stdout } = await starling('validate', path, '--json')
  expect(exitCode).toBe(2)
  expect(JSON.parse(stdout)).toMatchObject({
    success: false,
    error: { code: 'MODEL_INVALID', hint: expect.any(String) },
  })
})
