/** Something ended the donation, or kept it from starting: what it was, and what the donor can do. */

import { explain } from './explain.ts'
import type { PartProps } from './part-props.ts'

export function FailureScreen({ page }: PartProps) {
  const stage = page.stage.value
  if (stage.kind !== 'failed') return null
  const { meaning, remedy, detail, code } = explain(stage.error)
  return (
    <section class="card failure" aria-label="What went wrong">
      <p class="lead">{meaning}</p>
      <p>{remedy}</p>
      <div class="buttons">
        <button type="button" class="primary" onClick={() => void page.open(location.hash)}>
          Try again
        </button>
      </div>
      <p class="quiet">
        For whoever you ask for help: <code>{code}</code>, {detail}
      </p>
    </section>
  )
}
