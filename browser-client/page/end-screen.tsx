/** After a donation: thanks, what came of it, and what can be done now. */

import type { DonationSnapshot } from '../donation.ts'
import { Tiles } from './contribution.tsx'
import { duration, plural } from './format.ts'
import { LossSection } from './loss-section.tsx'
import type { PartProps } from './part-props.ts'
import type { Look } from './theme.ts'

export function EndScreen({ page, look }: PartProps & { look: Look }) {
  const stage = page.stage.value
  if (stage.kind !== 'over') return null
  const snapshot = page.snapshot.value
  const given = snapshot?.contribution
  return (
    <>
      <section class="card ending" aria-labelledby="ending">
        <h2 id="ending">
          {stage.ending === 'run-over' ? 'How it ended' : 'You have stopped; the others go on'}
        </h2>
        <p class="lead">{outcome(stage.ending === 'run-over', snapshot?.verdict ?? null, stage.card.name)}</p>
        <p>
          {given !== undefined && given.roundsCommitted > 0
            ? `Your tab gave ${duration(stage.lastedMs)} and is part of ${plural(given.roundsCommitted, 'round')}. What it learned stays in the model.`
            : `Your tab was here for ${duration(stage.lastedMs)}; none of its rounds was counted yet.`}{' '}
          All work here has ended, and nothing runs in the background.
        </p>
        <div class="buttons">
          <button type="button" class="primary" onClick={() => void page.open(location.hash)}>
            {stage.ending === 'run-over' ? 'See the job again' : 'Donate again'}
          </button>
        </div>
      </section>
      {given !== undefined && given.localSteps > 0 && (
        <section class="card" aria-labelledby="given">
          <h2 id="given">What you gave</h2>
          <Tiles given={given} />
        </section>
      )}
      {(snapshot?.curve.length ?? 0) > 1 && <LossSection page={page} look={look} />}
    </>
  )
}

const verdictWords: Readonly<Record<string, string>> = {
  converged: 'has learned what it was meant to learn',
  plateaued: 'has stopped getting better, and was ended',
  diverged: 'went astray, and was ended: that happens in research',
  'out-of-budget': 'used up the time or rounds its owner gave it',
}

function outcome(isRunOver: boolean, verdict: DonationSnapshot['verdict'], name: string): string {
  if (!isRunOver) return `${name} goes on without this tab. Whatever you gave is kept.`
  if (verdict === null) return `${name} was ended by its owner.`
  return `After ${plural(verdict.round, 'round')}, ${name} ${verdictWords[verdict.verdict] ?? 'has ended'}: ${verdict.reason}.`
}
