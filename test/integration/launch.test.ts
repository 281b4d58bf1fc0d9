/** `starling launch` from the job file to the trained model, as people start it, and what it leaves behind: nothing. */

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { glyphs } from '../../data/glyphs.ts'
import { Program, root, testFolder } from './peers/program.ts'

const words = ['launch', join(root, 'examples/glyphs/job.yaml'), '--local', '3']

/**
 * Ctrl-C must end everything by then, or people press it again: the program's own promise, which it keeps on any
 * machine since it ends by force what has not ended after three seconds.
 */
const interruptMsMax = 5_000

async function launch(): Promise<{ folder: string; program: Program }> {
  const folder = await testFolder()
  return { folder, program: new Program(folder, 'home', [...words, '--output', 'trained']) }
}

/** Every file and folder that is left of the processes that `launch` started, apart from their logs. */
async function leftovers(folder: string): Promise<string[]> {
  const state = join(folder, 'home/state')
  const names = await readdir(state, { recursive: true })
  return names.filter((name) => !/^runs(\/[^/]+(\/[^/]+\.log)?)?$/.test(name))
}

/** Right answers of the ONNX file at `path` on the validation glyphs of examples/glyphs, by onnxruntime alone. */
async function rightAnswers(path: string): Promise<{ right: number; count: number }> {
  const { count, fields } = glyphs({ seed: 1, train: 1, validation: 2_000 }).validation
  const session = await InferenceSession.create(path)
  const image = Float32Array.from(fields.x.data, (pixel) => pixel / 255)
  const results = await session.run({ image: new Tensor('float32', image, [count, 1, 28, 28]) })
  const { data, dims } = results.logits!
  expect(dims).toEqual([count, 10])
  const labelOf = (sample: number): number => {
    const logits = Array.from((data as Float32Array).subarray(sample * 10, sample * 10 + 10))
    return logits.indexOf(Math.max(...logits))
  }
  const right = Array.from({ length: count }, (_, i) => labelOf(i) === fields.y.data[i]).filter(Boolean)
  await session.release()
  return { right: right.length, count }
}

test('a job launched on this machine converges, and its model is as good anywhere as the verdict says', async () => {
  const { folder, program } = await launch()
  expect(await program.ended).toEqual({ exitCode: 0, signal: null })
  expect(program.isGroupAlive).toBe(false)
  expect(await leftovers(folder)).toEqual([])

  const verdict = program.lines.at(-1)!
  expect(Object.keys(verdict)).toEqual([
    'event',
    'verdict',
    'metric',
    'value',
    'rounds',
    'peers',
    'seconds',
    'uploaded_bytes_per_peer',
    'model',
  ])
  const model = join(folder, 'trained/model.onnx')
  expect(verdict).toMatchObject({
    event: 'verdict',
    verdict: 'converged',
    metric: 'val_accuracy',
    peers: 3,
    model,
  })
  expect(verdict.value).toBeGreaterThanOrEqual(0.97)
  const evaluations = program.all('evaluation')
  expect(evaluations.at(-1)).toMatchObject({ val_accuracy: verdict.value })
  expect(verdict.rounds).toBeGreaterThanOrEqual(evaluations.at(-1)!.round as number)
  // int8: every round a peer sends two thirds of the vector to its reducers and its own third to two peers, 4/3 in all
  const { size } = await stat(join(root, 'examples/glyphs/cnn.onnx'))
  expect(verdict.uploaded_bytes_per_peer).toBeGreaterThan(((verdict.rounds as number) * size) / 4)

  const { right, count } = await rightAnswers(model)
  expect(right).toBe(Math.round((verdict.value as number) * count))
  expect(right / count).toBeCloseTo(verdict.value as number, 12)
  // it is the example's graph with other weights
  expect((await readFile(model)).equals(await readFile(join(root, 'examples/glyphs/cnn.onnx')))).toBe(false)
})

test.each([
  ['Ctrl-C, which reaches every process,', true],
  ['SIGINT to the command alone', false],
])('%s in the middle of a run ends all of it within seconds', async (_, group) => {
  const { folder, program } = await launch()
  await program.line('a round', ({ event }) => event === 'round')
  const startedMs = performance.now()
  program.kill('SIGINT', { group })
  expect(await program.ended).toEqual({ exitCode: 130, signal: null })
  expect(performance.now() - startedMs).toBeLessThan(interruptMsMax)
  expect(program.isGroupAlive).toBe(false)
  expect(await leftovers(folder)).toEqual([])
  expect(program.all('verdict')).toEqual([])
})

test('a reader that goes away ends the run, which is no error, and nothing is left', async () => {
  const { folder, program } = await launch()
  await program.said('peer_joined')
  program.stopReading()
  expect(await program.ended).toEqual({ exitCode: 0, signal: null })
  expect(program.isGroupAlive).toBe(false)
  expect(await leftovers(folder)).toEqual([])
})

test('a command that is killed takes its processes with it', async () => {
  const { program } = await launch()
  await program.line('a round', ({ event }) => event === 'round')
  program.kill('SIGKILL')
  // stdout stays open until the last process that inherited it has gone
  expect(await program.ended).toEqual({ exitCode: null, signal: 'SIGKILL' })
  await expect.poll(() => program.isGroupAlive, { timeout: interruptMsMax }).toBe(false)
})
