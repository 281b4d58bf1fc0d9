/** The choice of a backend, on a clock that moves only when a step is run. */
import { expect, it } from 'vitest'
import type { Backend, BackendName } from '../../../engine/backends/backend.ts'
import { type Candidate, chooseBackend, preferring } from '../../../engine/backends/choose.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'

/** Milliseconds of each step in turn, the last of them for ever; or why the backend does not open. */
type Speed = readonly number[] | SwarmError

const missing = new SwarmError('BACKEND_FAILED', 'not on this machine')

function race(
  speeds: Partial<Record<BackendName, Speed>>,
  { lastResort, preferred }: { lastResort?: BackendName; preferred?: BackendName } = {},
) {
  let nowMs = 0
  const steps: BackendName[] = []
  const released: BackendName[] = []
  const opened: BackendName[] = []
  const candidates = Object.entries(speeds).map(([key, speed]): Candidate => {
    const name = key as BackendName
    return {
      name,
      isLastResort: name === lastResort,
      open: async () => {
        if (speed instanceof SwarmError) throw speed
        opened.push(name)
        return { name } as Backend
      },
    }
  })
  const choose = ({ signal, onStep }: { signal?: AbortSignal; onStep?: () => void } = {}) =>
    chooseBackend(preferring(candidates, preferred), {
      prepare: async ({ name }) => {
        let index = 0
        const speed = speeds[name] as readonly number[]
        return {
          step: async () => {
            steps.push(name)
            nowMs += speed[Math.min(index++, speed.length - 1)]!
            onStep?.()
          },
          release: async () => void released.push(name),
        }
      },
      now: () => nowMs,
      signal,
    })
  return { choose, steps, released, opened }
}

it('takes the fastest, counts no first step, and gives the others back', async () => {
  const { choose, released } = race({ wasm: [40, 40], webgpu: [900, 20], native: [50, 30] })
  const { backend, timings } = await choose()
  expect(backend.name).toBe('webgpu')
  expect(timings).toEqual([
    { backend: 'wasm', stepMs: 40 },
    { backend: 'webgpu', stepMs: 20 },
    { backend: 'native', stepMs: 30 },
  ])
  expect(released).toEqual(['wasm', 'native'])
})

it('opens nothing more when a step takes less than a graphics processor can', async () => {
  const { choose, opened, steps } = race({ native: [9, 2], webgpu: [1] })
  expect((await choose()).backend.name).toBe('native')
  expect(opened).toEqual(['native'])
  expect(steps.length).toBe(4)
})

it('begins no step after a second of a candidate', async () => {
  const { choose, steps } = race({ wasm: [700, 600], webgpu: [5_000] })
  expect((await choose()).timings).toEqual([
    { backend: 'wasm', stepMs: 600 },
    { backend: 'webgpu', stepMs: 5_000 },
  ])
  expect(steps).toEqual(['wasm', 'wasm', 'webgpu'])
})

it('does not time what has no rival', async () => {
  const { choose, steps } = race({ native: [100], wasm: [1] }, { lastResort: 'wasm' })
  expect(await choose()).toMatchObject({ backend: { name: 'native' }, timings: [] })
  expect(steps).toEqual([])
})

it('falls back on the last resort, and says why', async () => {
  const { choose } = race({ native: missing, wasm: [1] }, { lastResort: 'wasm' })
  const { backend, timings } = await choose()
  expect(backend.name).toBe('wasm')
  expect(timings).toEqual([{ backend: 'native', failure: missing }])
})

it('fails as the first candidate does when none works', async () => {
  const other = new SwarmError('BACKEND_FAILED', 'no adapter')
  await expect(race({ native: missing, webgpu: other }).choose()).rejects.toBe(missing)
})

it('stops before the next step when it is cancelled, and gives back what it holds', async () => {
  const controller = new AbortController()
  const { choose, released, steps } = race({ wasm: [40], webgpu: [40], native: [40] })
  const reason = new SwarmError('TIMEOUT', 'too late')
  const onStep = () => {
    if (steps.at(-1) === 'webgpu') controller.abort(reason)
  }
  await expect(choose({ signal: controller.signal, onStep })).rejects.toBe(reason)
  expect(steps).toEqual(['wasm', 'wasm', 'wasm', 'wasm', 'webgpu'])
  expect(released).toEqual(['webgpu', 'wasm'])
})

it('times nothing where one is known to win, and turns to the others only when it fails', async () => {
  const known = race({ wasm: [40], webgpu: [20] }, { preferred: 'webgpu' })
  expect(await known.choose()).toMatchObject({ backend: { name: 'webgpu' }, timings: [] })
  expect(known.opened).toEqual(['webgpu'])
  expect(known.steps).toEqual([])
  const gone = race({ wasm: [40], webgpu: missing }, { preferred: 'webgpu' })
  expect((await gone.choose()).backend.name).toBe('wasm')
  const foreign = race({ wasm: [40], webgpu: [20] }, { preferred: 'native' })
  expect((await foreign.choose()).timings).toHaveLength(2)
})
