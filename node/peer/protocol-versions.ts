/**
 * Which versions of Starling's protocols two programs speak, by the ids that a peer names: those of its streams
 * (identify tells them) and of its gossip topics. The version stands in each id:
 *
 *     /starling/<protocol>/<version>[/<job>]
 *
 * Two programs that have no version of a protocol in common cannot work together on what it is for. Pure; who names
 * what is `versions.ts`'s matter.
 */

import { allreduceProtocol } from '../../protocols/allreduce/index.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { helloTopic } from '../../protocols/discovery/index.ts'
import { jobsProtocol } from '../../protocols/jobs/messages.ts'
import { shardsProtocol } from '../../protocols/shards/messages.ts'

/** A protocol of which two programs speak no version in common. */
export interface Difference {
  protocol: string
  /** Rising, at least one. */
  theirs: readonly number[]
  ours: number
}

/** Versions of one protocol that a message names: whoever lists more is no program that anybody is to update. */
const versionsMax = 4

const ownVersions: ReadonlyMap<string, number> = new Map(
  [helloTopic, jobsProtocol, shardsProtocol, allreduceProtocol('')].map((id) => {
    const { protocol, version } = parsed(id)!
    return [protocol, version]
  }),
)

/**
 * Protocols that a program which names `ids` speaks in other versions than this one. What it does not speak at all is
 * none.
 */
export function differences(ids: Iterable<string>): Difference[] {
  const spoken = new Map<string, Set<number>>()
  for (const id of ids) {
    const named = parsed(id)
    if (named === undefined) continue
    const versions = spoken.get(named.protocol) ?? new Set()
    spoken.set(named.protocol, versions.add(named.version))
  }
  return [...ownVersions].flatMap(([protocol, ours]) => {
    const theirs = spoken.get(protocol)
    if (theirs === undefined || theirs.has(ours)) return []
    return [{ protocol, theirs: [...theirs].sort((a, b) => a - b).slice(0, versionsMax), ours }]
  })
}

/**
 * The error for `found`, one difference or more, with the peer that `who` describes. `updateHere`: what to do where
 * this program is the older one.
 */
export function versionMismatch(
  found: readonly Difference[],
  { peer, who, updateHere }: { peer: string; who: string; updateHere: string },
): SwarmError {
  const theirs = found.flatMap(({ protocol, theirs }) => theirs.map((version) => `${protocol}/${version}`))
  const ours = found.map(({ protocol, ours }) => `${protocol}/${ours}`)
  const message = `${who} speaks ${theirs.join(', ')}; this program speaks ${ours.join(', ')}`
  return new SwarmError('VERSION_MISMATCH', message, {
    peer,
    retry: 'other-peer',
    hint: remedy(found, who, updateHere),
  })
}

/** Who has to update. */
function remedy(found: readonly Difference[], who: string, updateHere: string): string {
  if (found.every(({ theirs, ours }) => theirs.every((version) => version > ours))) return updateHere
  if (found.every(({ theirs, ours }) => theirs.every((version) => version < ours)))
    return `Whoever runs ${who} has to update Starling: that program is the older one.`
  return `Whoever runs ${who} and you have to update to the same version of Starling.`
}

function parsed(id: string): { protocol: string; version: number } | undefined {
  const [, protocol, version] = /^\/starling\/([a-z]+)\/(\d{1,6})(?:\/|$)/.exec(id) ?? []
  return protocol === undefined ? undefined : { protocol, version: Number(version) }
}
