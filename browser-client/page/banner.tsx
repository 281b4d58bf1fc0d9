/**
 * What the donor should know now but did not ask: nobody reachable, a peer that hangs or is of another age, a slower
 * backend.
 */

import type { VNode } from 'preact'
import { type Explanation, explain } from './explain.ts'
import { duration } from './format.ts'
import type { Staleness } from './freshness.ts'
import type { PartProps } from './part-props.ts'

export function Banner({ page }: PartProps) {
  const staleness = page.staleness.value
  const { mismatch = null, backend = null } = page.snapshot.value ?? {}
  if (staleness !== null) return <div class="banner">{words[staleness.cause](duration(staleness.forMs))}</div>
  if (mismatch !== null) return <Mismatch {...explain(mismatch)} />
  return backend?.note == null ? null : <p class="banner mild">{backend.note}</p>
}

/** Until a round counts: perhaps it never will. */
function Mismatch({ title, meaning, remedy }: Explanation) {
  return (
    <div class="banner">
      <p>
        <strong role="alert">{title}.</strong> {meaning} {remedy}
      </p>
    </div>
  )
}

/** What each cause means to a donor, after `age`. */
const words: { readonly [Cause in Staleness['cause']]: (age: string) => VNode } = {
  cut: (age) => (
    <p>
      <strong role="alert">Connection lost.</strong> Nobody of the swarm can be reached, and what you see is{' '}
      {age} old. This tab keeps trying. If it takes long, check your network; what you have contributed is
      safe with the others.
    </p>
  ),
  unreached: (age) => (
    <p>
      <strong role="alert">Nobody has answered yet,</strong> for {age}. This tab keeps trying. The swarm may
      be gone for a while, or a firewall keeps WebSockets out; whoever sent the link can send a newer one.
    </p>
  ),
  silent: (age) => (
    <p>
      <strong role="alert">The peer in this tab does not answer.</strong> What you see is {age} old. It may
      come back by itself; if not, press Stop and start again.
    </p>
  ),
}
