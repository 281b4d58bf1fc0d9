/** What the donor should know now but did not ask: nobody reachable, a peer that hangs, a slower backend than hoped for. */

import type { PartProps } from './app.tsx'
import { duration } from './format.ts'

export function Banner({ page }: PartProps) {
  const snapshot = page.snapshot.value
  const silentMs = page.silentMs.value
  if (silentMs > 0) {
    return (
      <p class="banner" role="alert">
        <strong>This tab’s peer does not answer.</strong> What you see is {duration(silentMs)} old. It may
        come back by itself; if not, press Stop and start again.
      </p>
    )
  }
  const isUnderWay = snapshot !== null && snapshot.phase !== 'loading' && snapshot.phase !== 'connecting'
  if (isUnderWay && !snapshot.isConnected) {
    return (
      <p class="banner" role="alert">
        <strong>Connection lost.</strong> Nobody of the swarm can be reached; this tab keeps trying. Check
        your network if it takes long: what you have contributed is safe with the others.
      </p>
    )
  }
  const note = snapshot?.backend?.note ?? null
  return note === null ? null : <p class="banner mild">{note}</p>
}
