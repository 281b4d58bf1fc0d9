/** What somebody who follows a run is told of its coordinator: how it went, once, and that it is back. */

import { expect, test } from 'vitest'
import { coordinatorNotice } from '../../../node/run/coordinator-notice.ts'
import type { RunEvent } from '../../../node/run/run-events.ts'
import type { DiscoveryEffect, PeerRecord } from '../../../protocols/discovery/index.ts'

const coordinator = 'the-coordinator'

function appeared(peer: string): DiscoveryEffect {
  return { kind: 'PeerAppeared', record: { peer } as PeerRecord }
}

function gone(
  peer: string,
  reason: Extract<DiscoveryEffect, { kind: 'PeerGone' }>['reason'],
): DiscoveryEffect {
  return { kind: 'PeerGone', peer, reason }
}

function told(effects: readonly DiscoveryEffect[], isConnected: boolean): RunEvent[] {
  const events: RunEvent[] = []
  const listener = coordinatorNotice({
    coordinator,
    isConnected: () => isConnected,
    seconds: () => 61,
    emit: (event) => events.push(event),
  })
  for (const effect of effects) listener(effect)
  return events
}

test.each<[Extract<DiscoveryEffect, { kind: 'PeerGone' }>['reason'], boolean, RegExp]>([
  ['left', false, /has stopped/],
  ['left', true, /has stopped/],
  ['connection lost', false, /connection to the coordinator broke/],
  ['expired', false, /connection to the coordinator broke/],
  ['expired', true, /is silent, though its connection stands/],
])(
  'a coordinator that is gone (%s, connected: %s) is told of as what it is',
  (reason, isConnected, words) => {
    expect(told([gone(coordinator, reason)], isConnected)).toEqual([
      { event: 'warning', seconds: 61, message: expect.stringMatching(words), hint: expect.any(String) },
    ])
  },
)

test('when it is back that is said, with the warning that holds no longer', () => {
  const there = [appeared(coordinator), appeared('a-peer'), gone('a-peer', 'left')]
  expect(told(there, true)).toEqual([])
  const [warning, recovered, ...others] = told(
    [
      ...there,
      gone(coordinator, 'expired'),
      appeared('a-peer'),
      appeared(coordinator),
      appeared(coordinator),
    ],
    true,
  )
  expect(others).toEqual([])
  expect(recovered).toMatchObject({ event: 'recovered', message: expect.stringMatching(/is back/) })
  expect(recovered).toHaveProperty('warning', warning?.event === 'warning' ? warning.message : undefined)
})
