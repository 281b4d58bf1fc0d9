/** Which jobs are told of before they begin, since a node could not read their state back. */

import { constants } from 'node:buffer'
import { expect, test } from 'vitest'
import { parseJobFile } from '../../../node/job/job-file.ts'
import { stateWarning } from '../../../node/job/state-size.ts'
import type { ParameterSpec } from '../../../protocols/core/tensor.ts'

/** The warning about one weight of `length` elements, trained as `train` and `swarm` say. */
function warned(length: number, train: string, swarm = '{ min_peers: 2 }'): string | undefined {
  const { spec, problems } = parseJobFile(`name: large
model: { file: large.onnx, loss: mse }
data: { kind: idx }
train: { optimizer: adamw, learning_rate: 0.001, batch_size: 8, ${train} }
swarm: ${swarm}
convergence: { metric: val_loss, mode: min, max_rounds: 9, max_minutes: 9 }
`)
  expect(problems).toEqual([])
  const weight: ParameterSpec = { name: 'w', kind: 'weight', shape: [length], offset: 0, length }
  return stateWarning(spec!, [weight])
}

test.each<[string, number, string, string | undefined]>([
  ['its parameters', 1, 'local_steps: 8', undefined],
  ['one momentum beside them', 2, 'local_steps: 8', '{ min_peers: 2, outer: { kind: nesterov } }'],
  ['two moments beside them, with one local step', 3, 'local_steps: 1', undefined],
])('a state is warned of from the size on that no array has: %s', (_, vectors, train, swarm) => {
  const most = Math.ceil(constants.MAX_LENGTH / 4 / vectors)
  expect(warned(most, train, swarm)).toMatch(/^a state takes 4\.\d GB, .* the run is lost$/)
  expect(warned(most - 1, train, swarm)).toBeUndefined()
})
