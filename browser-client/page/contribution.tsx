/** What this tab has given so far. Only what was measured; energy is not, so it is not shown. */

import type { Contribution as Given } from '../donation.ts'
import type { PartProps } from './app.tsx'
import { bytes, count, duration, percent } from './format.ts'

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
  const tiles: [string, string, string][] = [
    ['Samples', count(given.samples), 'Pictures or texts that this tab has learned from'],
    [
      'Share of the run',
      given.shareOfRun === null ? '–' : percent(given.shareOfRun),
      'Of all samples since you joined',
    ],
    ['Rounds', count(given.roundsCommitted), 'Averages that count your work'],
    ['Steps', count(given.localSteps), 'Passes forward and back through the model'],
    ['Speed', `${count(given.samplesPerSecond)}\u202f/s`, 'Samples a second while it works'],
    ['Sent', bytes(given.bytesUp), 'To other peers'],
    ['Received', bytes(given.bytesDown), 'From other peers'],
    ['To the first step', given.firstStepMs === null ? '–' : duration(given.firstStepMs), 'From your click'],
  ]
  return (
    <dl class="tiles">
      {tiles.map(([name, value, help]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {value}
            <small>{help}</small>
          </dd>
        </div>
      ))}
    </dl>
  )
}
