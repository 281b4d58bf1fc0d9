/** What the donor should know now but did not ask: nobody reachable, a peer that hangs, a slower backend than hoped for. */

import { duration } from './format.ts'
import type { PartProps } from './part-props.ts'

export function Banner({ page }: PartProps) {
  const staleness = page.staleness.value
  const note = page.snapshot.value?.backend?.note ?? null
  if (staleness === null) return note === null ? null : <p class="banner mild">{note}</p>
  const age = duration(staleness.forMs)
  return (
    <div class="banner">
      {staleness.cause === 'cut' ? (
        <p>
          <strong role="alert">Connection lost.</strong> Nobody of the swarm can be reached, and what you see
          is {age} old. This tab keeps trying. If it takes long, check your network; what you have contributed
          is safe with the others.
        </p>
      ) : (
        <p>
          <strong role="alert">The peer in this tab does not answer.</strong> What you see is {age} old. It
          may come back by itself; if not, press Stop and start again.
        </p>
      )}
    </div>
  )
}
