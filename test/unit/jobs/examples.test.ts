import { readdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { readJobFile } from '../../../node/job-file.ts'
import { createManifest } from '../../../protocols/jobs/manifest.ts'
import { manifestInit } from './example.ts'

const examples = new URL('../../../examples/', import.meta.url)

test('every example is a job without problems, whose plan fits a manifest', async () => {
  const names = await readdir(examples)
  expect(names).toEqual(expect.arrayContaining(['glyphs', 'mnist', 'shakespeare']))
  for (const name of names) {
    const { spec, modelPath } = await readJobFile(new URL(`${name}/job.yaml`, examples).pathname)
    expect(modelPath).toMatch(new RegExp(`/examples/${name}/\\w+\\.onnx$`))
    const { train, swarm, convergence } = spec
    expect(createManifest(manifestInit({ name: spec.name, train, swarm, convergence })).name).toBe(spec.name)
  }
})
