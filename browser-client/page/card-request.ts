/** Asks the server of this page what a job is about: the only request before the donor's click. */

import { SwarmError } from '../../protocols/core/errors.ts'
import { decodeJobCard, type JobCard, jobCardPath } from '../../protocols/jobs/card.ts'

/** A server that has not answered by then is as good as gone to whoever looks at an empty page. */
const timeoutMs = 10_000

/** Bytes of a card: three texts of 500 characters, escaped, and a dozen numbers. */
const cardBytesMax = 8192

/**
 * The card of `job` from the page's own origin.
 * @throws {SwarmError} NOT_FOUND when the server does not know the job; NO_COORDINATOR when it does not answer;
 * MESSAGE_INVALID when it answers with anything else.
 */
export async function fetchCard(job: string): Promise<JobCard> {
  const gone = (cause?: unknown) =>
    new SwarmError('NO_COORDINATOR', `${location.host} does not answer`, { cause })
  const response = await fetch(jobCardPath(job), { signal: AbortSignal.timeout(timeoutMs) }).catch(
    (cause) => {
      throw gone(cause)
    },
  )
  if (response.status === 404) throw new SwarmError('NOT_FOUND', `${location.host} does not know job ${job}`)
  if (!response.ok) throw gone(`status ${response.status}`)
  const text = await response.text().catch((cause) => {
    throw gone(cause)
  })
  if (text.length > cardBytesMax) throw notACard(`it has ${text.length} characters`)
  const card = decodeJobCard(parse(text))
  if (card.job !== job) throw notACard(`it is that of ${card.job}`)
  return card
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw notACard('it is not JSON', cause)
  }
}

function notACard(why: string, cause?: unknown): SwarmError {
  return new SwarmError('MESSAGE_INVALID', `the answer of ${location.host} is not the job's card: ${why}`, {
    cause,
  })
}
