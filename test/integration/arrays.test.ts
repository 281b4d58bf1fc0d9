/** A model of two inputs learns from arrays, by the job that docs/data.md shows: from the files to the verdict. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { seededRandom } from '../../protocols/core/random.ts'
import { npyFile } from '../unit/data/npy-file.ts'
import { familyModel } from '../unit/engine/families.ts'
import { Program, root, testFolder } from './peers/program.ts'

/** What the Python of docs/data.md saves, with fewer samples. */
function clicks(): Record<string, Uint8Array> {
  const random = seededRandom(1)
  const split = (count: number) => {
    const dense = Float32Array.from({ length: 4 * count }, () => random.normal())
    const sparse = BigInt64Array.from({ length: 6 * count }, () => BigInt(random.integer(5)))
    const y = BigInt64Array.from({ length: count }, (_, i) => BigInt(dense[4 * i]! > 0))
    return {
      dense: npyFile('<f4', [count, 4], dense),
      sparse: npyFile('<i8', [count, 3, 2], sparse),
      y: npyFile('<i8', [count, 1], y),
    }
  }
  const inFolder = (folder: string, arrays: Record<string, Uint8Array>) =>
    Object.entries(arrays).map(([name, bytes]) => [`clicks/${folder}/${name}.npy`, bytes] as const)
  return Object.fromEntries([...inFolder('train', split(1024)), ...inFolder('test', split(256))])
}

test('a recommender trains in a swarm on the arrays of its two inputs', async () => {
  const folder = await testFolder()
  const page = await readFile(join(root, 'docs/data.md'), 'utf8')
  const files: Record<string, string | Uint8Array> = {
    ...clicks(),
    'dlrm.onnx': await familyModel('dlrm', 'dynamo'),
    'job.yaml': /```yaml\n(name: clicks.*?)```/s.exec(page)![1]!,
  }
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
  const program = new Program(folder, 'home', ['launch', 'job.yaml', '--local', '2', '--output', 'trained'])
  expect(await program.ended).toEqual({ exitCode: 0, signal: null })
  const verdict = program.lines.at(-1)!
  expect(verdict).toMatchObject({ verdict: 'converged', metric: 'val_accuracy', peers: 2 })
  expect(verdict.value).toBeGreaterThanOrEqual(0.95)
  expect(await readFile(join(folder, 'trained/model.onnx'))).not.toEqual(Buffer.from(files['dlrm.onnx']!))
})
