import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import { readJobFile } from '../../../node/job/job-file.ts'
import { createManifest } from '../../../protocols/jobs/manifest.ts'
import { manifestInit } from './example.ts'

const examples = new URL('../../../examples/', import.meta.url)

test('every example is a job without problems, whose plan fits a manifest', async () => {
  const files = (await readdir(examples, { recursive: true })).filter((path) => path.endsWith('.yaml'))
  expect(files).toEqual(
    expect.arrayContaining([
      'cifar/job.yaml',
      'glyphs/job.yaml',
      'glyphs/longer.yaml',
      'mnist/job.yaml',
      'shakespeare/job.yaml',
    ]),
  )
  for (const file of files) {
    const { spec, modelPath } = await readJobFile(new URL(file, examples).pathname)
    expect(modelPath).toMatch(new RegExp(`/examples/${dirname(file)}/\\w+\\.onnx$`))
    const { train, swarm, convergence } = spec
    expect(createManifest(manifestInit({ name: spec.name, train, swarm, convergence })).name).toBe(spec.name)
  }
})
