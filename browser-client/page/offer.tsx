/**
 * Before the click: what would be computed, for whom, what it costs and how to stop. Pressing Start is the consent, so
 * all that the donor agrees to stands above the button, and nothing is ticked beforehand.
 */

import { count } from '../../protocols/core/quantities.ts'
import type { JobCard } from '../../protocols/jobs/card.ts'
import type { GovernorSettings } from '../governor/settings.ts'
import { accuracy, bytes, day, duration, percent, plural } from './format.ts'
import type { PartProps } from './part-props.ts'
import { PeerName } from './peer-name.tsx'

/** What a job learns from, in a donor's words. */
const samples: Readonly<Record<JobCard['dataKind'], string>> = {
  images: 'images',
  text: 'text',
  arrays: 'tables of numbers',
}

export function Offer({ page }: PartProps) {
  const stage = page.stage.value
  if (stage.kind !== 'offered') return null
  const { card, consent } = stage
  return (
    <section class="card offer" aria-label="What you are asked for">
      <p class="lead">
        {card.description ??
          `Many computers train one neural network on ${samples[card.dataKind]} together, by averaging what each of them has learned. Yours can be one of them.`}
      </p>
      <div class="columns">
        <Facts card={card} />
        <Costs card={card} settings={page.governor.value.settings} cores={page.cores} />
      </div>
      {consent !== undefined && (
        <p class="quiet">
          You gave to this owner before, last on {day(consent.givenMs)}. Nothing runs until you press Resume.{' '}
          <button type="button" class="link" onClick={() => page.forgetConsent()}>
            Forget that I did
          </button>
        </p>
      )}
      <div class="actions">
        <button type="button" class="primary" onClick={() => void page.start()}>
          {consent === undefined ? 'Start donating' : 'Resume donating'}
        </button>
        <p class="quiet">
          Only on a computer that is yours, or that you may use for this. Stop, or closing the tab, ends all
          work within a second.
        </p>
      </div>
    </section>
  )
}

function Facts({ card }: { card: JobCard }) {
  const target =
    card.targetAccuracy !== null
      ? `${accuracy(card.targetAccuracy)} of its answers are right`
      : card.targetLoss !== null
        ? `its loss is down to ${card.targetLoss}`
        : 'it learns no more'
  return (
    <div>
      <h2>What and for whom</h2>
      <dl>
        <dt>Computes</dt>
        <dd>
          One neural network ({bytes(card.modelBytes)}), learning from {samples[card.dataKind]}
        </dd>
        <dt>For</dt>
        <dd>
          <PeerName id={card.owner} />
        </dd>
        <dt>Signed</dt>
        <dd>By that owner on {day(card.created)}. This tab checks the signature before its first step.</dd>
        <dt>Ends</dt>
        <dd>
          When {target}; at the latest after {count(card.roundsMax)} rounds or{' '}
          {duration(card.minutesMax * 60_000)}
        </dd>
        <dt>Together</dt>
        <dd>
          {card.peersMin > 1 ? `Begins with ${plural(card.peersMin, 'peer')}` : 'Begins at once'}; you can
          come and go
        </dd>
      </dl>
    </div>
  )
}

/** Bytes that one parameter of an update takes on the wire, by codec: design numbers of wire/codecs. */
const bytesPerParameter: Readonly<Record<string, number>> = {
  f32: 4,
  f16: 2,
  int8: 1.02,
  int4: 0.53,
  topk: 0.12,
}

function Costs({ card, settings, cores }: { card: JobCard; settings: GovernorSettings; cores: number }) {
  // in f32 a parameter takes four bytes of the model; a peer sends and receives its update about once a round each way,
  // twice
  const perRound = 2 * (card.modelBytes / 4) * (bytesPerParameter[card.codec] ?? 4)
  return (
    <div>
      <h2>What it costs you</h2>
      <dl>
        <dt>Processor</dt>
        <dd>
          {plural(settings.threads, 'thread')} of {cores}
          {settings.mayUseGpu ? ' or the graphics card' : ''}, {percent(settings.dutyCycle)} of the time: more
          electricity, some warmth
        </dd>
        <dt>Traffic</dt>
        <dd>
          {bytes(card.modelBytes + card.dataBytes)} once, then up to {bytes(perRound)} each way in a round
        </dd>
        <dt>Privacy</dt>
        <dd>
          Peers of the run see your IP address, as in a video call. Nothing else of you leaves this tab.
        </dd>
        <dt>Space</dt>
        <dd>Model and data stay in this browser, so that they are not fetched twice</dd>
      </dl>
    </div>
  )
}
