/** A trainer's parameters when their device goes in the middle of a read. */
import { expect, it } from 'vitest'
import type { CarriedState } from '../../../engine/backends/backend.ts'
import { ModelState } from '../../../engine/training/model-state.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'

const parameters = [
  { name: 'w', kind: 'weight', shape: [1], offset: 0, length: 1 },
  { name: 'b', kind: 'weight', shape: [2], offset: 1, length: 2 },
] as const

/** Tensors of which each, when it is read, has moved to 9; the device is lost before b is. */
function losing(): { state: CarriedState; reads: string[] } {
  const reads: string[] = []
  const state: CarriedState = {
    write: async () => undefined,
    read: async (name, into) => {
      reads.push(name)
      if (name === 'b') throw new SwarmError('DEVICE_LOST', 'the device was lost')
      into.fill(9)
    },
    release: async () => undefined,
  }
  return { state, reads }
}

it('begins anew with whole parameters when the device is lost while they are read', async () => {
  const { state, reads } = losing()
  const kept = new ModelState({ newState: () => state }, parameters, Float32Array.of(1, 2, 3))
  await kept.bring()
  kept.markStepped()
  const into = new Float32Array(3)
  await expect(kept.read(into)).rejects.toMatchObject({ code: 'DEVICE_LOST' })
  expect(reads).toEqual(['w', 'b'])
  await kept.restart()
  await kept.read(into)
  expect(into).toEqual(Float32Array.of(1, 2, 3))
})
