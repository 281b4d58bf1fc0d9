/**
 * Somebody who only listens: a peer of the test's own that follows a run, and writes down which state each peer says it
 * holds after which round. What the tabs' pages show is not asked.
 */

import { onTestFinished } from 'vitest'
import { openSwarmNode, passingHome } from '../../../node/network/swarm-node.ts'
import type { Progress } from '../../../protocols/jobs/index.ts'

export interface Observer {
  /** Root by peer, by round. */
  roots: Map<number, Map<string, string>>
  /** Peer ids of the tabs that were met, gone ones too. */
  tabs(): string[]
  /** Resolves when `isTime` says so of what was heard; looked at after every report. */
  until(what: string, isTime: () => boolean): Promise<void>
  /** The newest report of `peer`. */
  report(peer: string): Progress | undefined
  /** Why each peer was taken for gone, in the order in which they went. */
  departures: { peer: string; reason: string }[]
  /** Bytes that `peer` moves in a round, for the run: mean over `rounds` rounds or a few more, from the next one on. */
  bytesPerRound(peer: string, rounds: number): Promise<{ up: number; down: number }>
  /** Rounds for which at least `count` peers told their root. */
  comparable(count: number): number[]
}

/** A wait that takes longer has hung. */
const waitMsMax = 60_000

/** Follows `job` in the swarm at `addresses`; `swarmKey`: of a private one. */
export async function observe(
  addresses: readonly string[],
  job: string,
  swarmKey: string | undefined,
): Promise<Observer> {
  const node = await openSwarmNode({
    ...(await passingHome()),
    swarmKey,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bootstrap: addresses,
    self: { role: 'node', backend: 'none', threads: 0, clientOnly: true },
  })
  onTestFinished(() => node.close())
  const { jobs, discovery } = node.services
  const roots: Observer['roots'] = new Map()
  const tabs = new Set<string>()
  const departures: Observer['departures'] = []
  discovery.on((effect) => {
    if (effect.kind === 'PeerGone') departures.push(effect)
    if ('record' in effect && effect.record.role === 'tab') tabs.add(effect.record.peer)
  })
  const listeners = new Set<() => void>()
  const known = Promise.withResolvers<void>()
  const off = jobs.on((notice) => {
    if (notice.kind === 'added' && notice.job === job) known.resolve()
  })
  if (jobs.get(job) !== undefined) known.resolve()
  await known.promise
  off()
  jobs.follow(job, (notice) => {
    if (notice.kind === 'progress') {
      const { round, root } = notice.progress
      const ofRound = roots.get(round) ?? new Map<string, string>()
      roots.set(round, ofRound.set(notice.peer, root))
    }
    for (const listener of [...listeners]) listener()
  })
  const report = (peer: string) => jobs.get(job)?.progress.get(peer)?.progress
  const until: Observer['until'] = (what, isTime) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        listeners.delete(look)
        reject(new Error(`${what} did not happen within ${waitMsMax / 1000} s`))
      }, waitMsMax)
      const look = () => {
        if (!isTime()) return
        clearTimeout(timer)
        listeners.delete(look)
        resolve()
      }
      listeners.add(look)
      look()
    })
  return {
    roots,
    tabs: () => [...tabs],
    report,
    departures,
    bytesPerRound: async (peer, rounds) => {
      // the update of the round under way may have been coded before what is measured was asked for
      const { round } = report(peer)!
      await until('the next round of a tab', () => report(peer)!.round > round)
      const first = report(peer)!
      await until(`${rounds} rounds of a tab`, () => report(peer)!.round >= first.round + rounds)
      const last = report(peer)!
      const perRound = (bytes: number) => bytes / (last.round - first.round)
      return {
        up: perRound(last.uploadedBytes - first.uploadedBytes),
        down: perRound(last.downloadedBytes - first.downloadedBytes),
      }
    },
    comparable: (count) => [...roots].filter(([, ofRound]) => ofRound.size >= count).map(([round]) => round),
    until,
  }
}
