/**
 * Which jobs a registry keeps that cannot keep all: pure arithmetic on what it knows.
 *
 *     free place ──▶ ended job ──▶ open job that nobody trains ──▶ trained job of an owner with two more ──▶ refused
 *
 * No owner has more than half of the places. Of the jobs that nobody trains one goes that belongs to the owner with the
 * most. That a job is trained protects no more than an owner's fair share, since whoever has two keys can say it of all
 * the jobs that fill a list: an owner's coordinators are chosen by itself. So who fills a registry alone, or with few
 * keys, is the one whose jobs go. Keys cost nothing; against many of them, with one job each, it helps that a job waits
 * an hour at most where another wants its place. Who wants more than that names the owners whose jobs it takes.
 *
 * Two registries that differ must not teach each other the same jobs for ever. Each exchange makes the owners' numbers
 * of open jobs more even, or leaves them as even as they were and makes the kept jobs younger: so they come to an end.
 */

import { jobsMax, jobsOfOwnerMax, jobWaitingMsMax } from '../core/limits.ts'
import type { JobStatus } from './messages.ts'
import { type JobRecord, statusOf } from './record.ts'

/** What is known of a job before it is fetched: of its line in another peer's list, or its manifest. */
export interface Newcomer {
  owner: string
  status: JobStatus
  /** Milliseconds since 1970. */
  created: number
}

/** A place for a job: a free one, that of a job which is forgotten for it, or none, and why. */
export type Room = { kind: 'free' } | { kind: 'of'; job: string } | { kind: 'none'; reason: string }

/** Where `newcomer`, which is not among `records`, would be kept. */
export function roomFor(records: Iterable<JobRecord>, newcomer: Newcomer): Room {
  const known = [...records]
  const open = known.filter((record) => statusOf(record) === 'open')
  const own = open.filter(({ manifest }) => manifest.owner === newcomer.owner).length
  if (newcomer.status === 'open' && own >= jobsOfOwnerMax)
    return { kind: 'none', reason: `would be one more than the ${jobsOfOwnerMax} open jobs of one owner` }
  if (known.length < jobsMax) return { kind: 'free' }
  // for another ended one it is not worth it: two peers that know many would teach each other the same ones for ever
  const ended = known.find((record) => statusOf(record) !== 'open')
  const given = newcomer.status !== 'open' ? undefined : (ended ?? yielding(open, own, newcomer.created))
  if (given !== undefined) return { kind: 'of', job: given.job }
  return { kind: 'none', reason: `would be one more than the ${jobsMax} open jobs kept here` }
}

/**
 * The job that gives way to one of an owner with `own` open ones: the oldest that nobody trains of the owner who has
 * the most of all, if that is at least two more; or one more, and the job has waited its time. Or else the youngest
 * that is trained, which loses least, of an owner who has at least two more.
 */
function yielding(open: readonly JobRecord[], own: number, created: number): JobRecord | undefined {
  const counts = new Map<string, number>()
  for (const { manifest } of open) counts.set(manifest.owner, (counts.get(manifest.owner) ?? 0) + 1)
  const countOf = ({ manifest }: JobRecord) => counts.get(manifest.owner)!
  const byAge = [...open].sort((a, b) => a.manifest.created - b.manifest.created)
  const [waiting] = byAge.filter((record) => !isTrained(record)).sort((a, b) => countOf(b) - countOf(a))
  if (waiting !== undefined) {
    const hasWaited = created > waiting.manifest.created + jobWaitingMsMax
    if (countOf(waiting) > (hasWaited ? own : own + 1)) return waiting
  }
  const [trained] = [...byAge].reverse().sort((a, b) => countOf(b) - countOf(a))
  return trained !== undefined && countOf(trained) > own + 1 ? trained : undefined
}

/** Peers report to it, or came to a round that was measured: the coordinator alone measures round 0. */
function isTrained({ progress, evaluations }: JobRecord): boolean {
  return progress.size > 0 || evaluations.some(({ statement }) => statement.round > 0)
}
