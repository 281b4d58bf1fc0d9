/**
 * The example jobs learn what they promise, each in a swarm of real processes. With `STARLING_TEST_DATA` naming a
 * folder that holds MNIST's four IDX files in `mnist10k/`, and `tinyshakespeare.txt`, they learn from those, to the
 * numbers that their READMEs give; without it from data drawn here in the same form.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { glyphs } from '../../data/glyphs.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import { Program, root, testFolder } from '../integration/peers/program.ts'

const realData = process.env.STARLING_TEST_DATA

test('the MNIST job reaches 97 % on held-out digits', { timeout: 240_000 }, async () => {
  const folder = await testFolder()
  const data = realData === undefined ? await drawDigits(folder) : join(realData, 'mnist10k')
  const program = new Program(folder, 'home', [
    ...[
      'launch',
      join(root, 'examples/mnist/job.yaml'),
      '--data',
      data,
      '--local',
      '3',
      '--output',
      'trained',
    ],
  ])
  expect(await program.ended).toEqual({ exitCode: 0, signal: null })
  expect(program.lines.at(-1)).toMatchObject({
    event: 'verdict',
    verdict: 'converged',
    metric: 'val_accuracy',
  })
  expect(program.lines.at(-1)!.value).toBeGreaterThanOrEqual(0.97)
})

test('the Shakespeare job learns to write from a text', { timeout: 600_000 }, async () => {
  const folder = await testFolder()
  const job = realData === undefined ? await shortJob(folder) : join(root, 'examples/shakespeare/job.yaml')
  const text = realData === undefined ? await writeText(folder) : join(realData, 'tinyshakespeare.txt')
  const program = new Program(folder, 'home', [
    ...['launch', job, '--data', text, '--local', '4', '--output', 'trained'],
  ])
  expect(await program.ended).toEqual({ exitCode: 0, signal: null })
  expect(program.lines.at(-1)).toMatchObject({ event: 'verdict', verdict: 'converged', metric: 'val_loss' })
  expect(program.lines.at(-1)!.value).toBeLessThanOrEqual(realData === undefined ? textLoss : 1.9)
})

/** Glyphs as IDX files, under MNIST's names. @returns their folder. */
async function drawDigits(folder: string): Promise<string> {
  const { train, validation } = glyphs({ seed: 5, train: 8_500, validation: 1_500 })
  const path = join(folder, 'digits')
  await mkdir(path)
  for (const [name, split] of [['train', train] as const, ['t10k', validation] as const]) {
    const { x, y } = split.fields
    await writeFile(join(path, `${name}-images-idx3-ubyte`), idx([split.count, 28, 28], x.data as Uint8Array))
    await writeFile(join(path, `${name}-labels-idx1-ubyte`), idx([split.count], y.data as Uint8Array))
  }
  return path
}

/** An IDX file of bytes: zero, zero, type 8, rank, then the sizes and the data. */
function idx(shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length))
  header.setUint32(0, 0x0800 | shape.length)
  for (const [axis, size] of shape.entries()) header.setUint32(4 + 4 * axis, size)
  return new Uint8Array([...new Uint8Array(header.buffer), ...data])
}

/**
 * What a model that has learnt the words of {@link writeText} gets below. A word is one of eight by chance, 3 bits or
 * 2.08 nats, and has eight characters: 0.26 a character. One that knows only how often each character occurs stays
 * above 3.
 */
const textLoss = 0.8

/** The Shakespeare job with fewer rounds and a target for {@link writeText}. */
async function shortJob(folder: string): Promise<string> {
  const text = await readFile(join(root, 'examples/shakespeare/job.yaml'), 'utf8')
  const model = join(root, 'examples/shakespeare/gpt.onnx')
  const path = join(folder, 'job.yaml')
  const changed = text
    .replace('file: gpt.onnx', `file: ${model}`)
    .replace('target: 1.9', `target: ${textLoss}`)
    .replace('evaluate_every: 20', 'evaluate_every: 5')
    .replace('max_rounds: 200', 'max_rounds: 60')
  expect(
    changed.match(/max_rounds: 60|evaluate_every: 5|target: 0.8/g),
    'the job file was changed',
  ).toHaveLength(3)
  await writeFile(path, changed)
  return path
}

/** A text of 120,000 characters: eight words of eight characters in any order, all 64 different, and line ends. */
async function writeText(folder: string): Promise<string> {
  const random = seededRandom(7)
  const alphabet = Array.from({ length: 64 }, (_, i) => String.fromCharCode(33 + i))
  const words = Array.from({ length: 8 }, (_, i) => alphabet.slice(8 * i, 8 * i + 8).join(''))
  let text = ''
  while (text.length < 120_000) text += random.integer(10) === 0 ? '\n' : words[random.integer(8)]!
  const path = join(folder, 'words.txt')
  await writeFile(path, text)
  return path
}
