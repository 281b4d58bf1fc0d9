/** While the tab works: what it is computing, for whom, and what it still costs. */

import { count } from '../../protocols/core/quantities.ts'
import { bytes, day, duration, moment, percent } from './format.ts'
import type { PartProps } from './part-props.ts'
import { PeerName } from './peer-name.tsx'

export function About({ page }: PartProps) {
  const stage = page.stage.value
  if (stage.kind !== 'giving') return null
  const { card } = stage
  const isVerified = page.snapshot.value?.job != null
  const { settings, dataDay } = page.governor.value
  const { limits, isBackingOff } = page.allowance.value
  return (
    <section class="card" aria-labelledby="about">
      <h2 id="about">What you are lending it to</h2>
      {card.description !== null && <p>{card.description}</p>}
      <dl>
        <dt>For</dt>
        <dd>
          <PeerName id={card.owner} />
        </dd>
        <dt>Signed</dt>
        <dd>
          {isVerified
            ? `By that owner, ${day(card.created)}; checked in this tab`
            : 'Will be checked before the first step'}
        </dd>
        <dt>Ends</dt>
        <dd>
          After {count(card.roundsMax)} rounds or {duration(card.minutesMax * 60_000)} at the latest
        </dd>
        <dt>Takes now</dt>
        <dd>
          {percent(limits.dutyCycle)} of the time, {limits.threads} of {page.cores} threads
          {isBackingOff && '; less than you set, because the computer is busy or hot'}
        </dd>
        <dt>Data today</dt>
        <dd>
          {bytes(dataDay.bytes)}
          {settings.dataCapBytes !== null && ` of ${bytes(settings.dataCapBytes)}`}
        </dd>
        <dt>Since</dt>
        <dd>{moment(stage.startedMs, page.nowMs.value)}</dd>
      </dl>
    </section>
  )
}
