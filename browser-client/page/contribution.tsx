/** What this tab has given so far. Only what was measured; energy is not, so it is not shown. */

import { count } from '../../protocols/core/quantities.ts'
import type { Contribution as Given } from '../donation.ts'
import { bytes, duration, percent } from './format.ts'
import type { PartProps } from './part-props.ts'

export function Contribution({ page }: PartProps) {
  const snapshot = page.snapshot.value
  const given = snapshot?.contribution
  return (
    <section class="card" aria-labelledby="contribution">
      <h2 id="contribution">Your contribution</h2>
      {given === undefined || given.localSteps === 0 ? (
        <p class="quiet">The first step has not been made yet. It will be counted here.</p>
      ) : (
        <Tiles given={given} />
      )}
      {snapshot?.backend != null && (
        <p class="quiet">
          Runs on{' '}
          {snapshot.backend.name === 'webgpu'
            ? 'the graphics card (WebGPU)'
            : `the processor (WASM, ${snapshot.backend.threads} ${snapshot.backend.threads === 1 ? 'thread' : 'threads'})`}
        </p>
      )}
    </section>
  )
}

/** The tiles of a donation, in this order. */
export function Tiles({ given }: { given: Given }) {
  const tiles: [string, string][] = [
    ['samples learned from', count(given.samples)],
    ['of all samples of the run', given.shareOfRun === null ? '–' : percent(given.shareOfRun)],
    [given.roundsCommitted === 1 ? 'round counts you' : 'rounds count you', count(given.roundsCommitted)],
    ['steps', count(given.localSteps)],
    ['samples a second', count(given.samplesPerSecond)],
    ['sent to others', bytes(given.bytesUp)],
    ['received', bytes(given.bytesDown)],
    ['from your click to the first step', given.firstStepMs === null ? '–' : duration(given.firstStepMs)],
  ]
  return (
    <dl class="tiles">
      {tiles.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
