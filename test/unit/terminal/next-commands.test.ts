/** What a person is told to try next: commands that fit what was launched. */

import { expect, test } from 'vitest'
import { exportCommand, nextCommands } from '../../../node/cli/next-commands.ts'
import type { VerdictEvent } from '../../../node/run/run-events.ts'

const converged: VerdictEvent = {
  event: 'verdict',
  verdict: 'converged',
  metric: 'val_accuracy',
  value: 0.97,
  rounds: 30,
  peers: 3,
  seconds: 20,
  uploaded_bytes_per_peer: 1e6,
  model: 'out/model.onnx',
}

const own = { jobFile: 'my/job.yaml', local: 2, data: 'numbers', coordinator: [] }

test('after the first example comes another one', () => {
  const jobFile = '/home/me/starling/examples/glyphs/longer.yaml'
  expect(nextCommands(converged, { ...own, jobFile, data: undefined })).toEqual([
    'npx starling validate out/model.onnx',
    'npx starling launch examples/mnist/job.yaml --local 3',
    'npx starling launch --help',
  ])
})

test('after a job of one’s own no example does, and it is launched again with the same words', () => {
  const again = 'npx starling launch my/job.yaml --data numbers --local 2'
  expect(nextCommands(converged, own)).toEqual(['npx starling validate out/model.onnx', again])
  expect(nextCommands({ ...converged, verdict: 'diverged' }, own)).toEqual([again])
  expect(nextCommands({ ...converged, model: null }, own)).toEqual([again, 'npx starling doctor'])
})

test('a swarm that was named, and its key, are named again', () => {
  const swarm = { coordinator: ['/dns4/a/tcp/1/p2p/x', '/dns4/b/tcp/2/p2p/y'], swarmKey: 'swarm.key' }
  const words = '--coordinator /dns4/a/tcp/1/p2p/x /dns4/b/tcp/2/p2p/y --swarm-key swarm.key'
  const launched = { ...own, ...swarm, local: undefined, data: undefined }
  expect(nextCommands({ ...converged, verdict: 'diverged' }, launched)).toEqual([
    `npx starling launch my/job.yaml ${words}`,
  ])
  expect(exportCommand('my-model', swarm)).toBe(`npx starling export my-model ${words}`)
  expect(exportCommand('my-model', { coordinator: [] })).toBe('npx starling export my-model')
})
