/** The table of live peers on event lists. */

import { expect, test } from 'vitest'
import { helloClockSkewMsMax, helloExpiryMs, knownPeersMax } from '../../../protocols/core/limits.ts'
import { type DiscoveryEffect, type PeerRecord, PeerTable } from '../../../protocols/discovery/machine.ts'
import type { Hello } from '../../../protocols/discovery/messages.ts'

/** Any Unix time; it is not the clock's. */
const unix = 1_800_000_000_000

function hello(peer: string, change: Partial<Hello> = {}): Hello {
  const issued = change.issued ?? unix
  const addresses = [`/ip4/192.0.2.1/tcp/4001/p2p/${peer}`]
  const base = { role: 'node', backend: 'wasm', threads: 2, clientOnly: false } as const
  return { kind: 1, ...base, addresses, issued, expires: issued + helloExpiryMs, ...change }
}

function heard(
  table: PeerTable,
  peer: string,
  change: Partial<Hello> = {},
  now = 0,
  unixMs = unix,
): DiscoveryEffect[] {
  return table.step({ kind: 'HelloArrived', now, unixMs, peer, hello: hello(peer, change) })
}

function record(peer: string, change: Partial<PeerRecord> = {}): PeerRecord {
  const { kind: _, issued: __, expires: ___, ...rest } = hello(peer)
  return { peer, ...rest, job: undefined, isConnected: false, ...change }
}

test('a peer appears once, changes with a newer record, and an older or equal one that comes late says nothing', () => {
  const table = new PeerTable()
  expect(heard(table, 'a')).toEqual([{ kind: 'PeerAppeared', record: record('a') }])
  expect(heard(table, 'a', { issued: unix + 2, threads: 3 })).toEqual([
    { kind: 'PeerChanged', record: record('a', { threads: 3 }) },
  ])
  expect(heard(table, 'a', { issued: unix + 1, threads: 9 })).toEqual([])
  expect(heard(table, 'a', { issued: unix + 2, threads: 9 })).toEqual([])
  expect(table.records()).toEqual([record('a', { threads: 3 })])
})

test('a record lives from its arrival for as long as its sender said, whatever the two clocks show', () => {
  const table = new PeerTable()
  heard(table, 'a', { issued: unix - 200_000, expires: unix - 200_000 + 5_000 }, 1_000)
  expect(table.step({ kind: 'Woke', now: 5_999 })).toEqual([])
  expect(table.step({ kind: 'Woke', now: 6_000 })).toEqual([
    { kind: 'PeerGone', peer: 'a', reason: 'expired' },
  ])
  expect(table.records()).toEqual([])
})

test('a goodbye removes at once, and a HELLO from before it does not bring the peer back', () => {
  const table = new PeerTable()
  heard(table, 'a')
  const goodbye = { issued: unix + 10, expires: unix + 10 }
  expect(heard(table, 'a', goodbye)).toEqual([{ kind: 'PeerGone', peer: 'a', reason: 'left' }])
  expect(heard(table, 'a', { issued: unix + 9 })).toEqual([])
  expect(table.records()).toEqual([])
  expect(heard(table, 'a', { issued: unix + 11 })[0]?.kind).toBe('PeerAppeared')
})

test('a peer whose connection broke is gone after fifteen seconds unless it is heard of by way of others', () => {
  const table = new PeerTable()
  table.step({ kind: 'Connected', now: 0, peer: 'a' })
  expect(heard(table, 'a')).toEqual([{ kind: 'PeerAppeared', record: record('a', { isConnected: true }) }])
  heard(table, 'b')
  table.step({ kind: 'Connected', now: 0, peer: 'b' })
  for (const peer of ['a', 'b']) table.step({ kind: 'Disconnected', now: 1_000, peer })
  heard(table, 'b', { issued: unix + 12_000 }, 12_000)
  expect(table.step({ kind: 'Woke', now: 15_999 })).toEqual([])
  expect(table.step({ kind: 'Woke', now: 16_000 })).toEqual([
    { kind: 'PeerGone', peer: 'a', reason: 'connection lost' },
  ])
  expect(table.records()).toEqual([record('b')])
})

test('a peer whose connection came back counts for as long as its last HELLO said', () => {
  const table = new PeerTable()
  heard(table, 'a')
  table.step({ kind: 'Connected', now: 0, peer: 'a' })
  table.step({ kind: 'Disconnected', now: 1_000, peer: 'a' })
  table.step({ kind: 'Connected', now: 2_000, peer: 'a' })
  expect(table.step({ kind: 'Woke', now: helloExpiryMs - 1 })).toEqual([])
  expect(table.step({ kind: 'Woke', now: helloExpiryMs })).toEqual([
    { kind: 'PeerGone', peer: 'a', reason: 'expired' },
  ])
})

test('of more strangers that say goodbye than there can be peers, the first are forgotten', () => {
  const table = new PeerTable()
  const goodbye = { issued: unix + 10, expires: unix + 10 }
  for (let i = 0; i <= knownPeersMax; i++) heard(table, `peer-${i}`, goodbye)
  expect(heard(table, 'peer-1', { issued: unix + 9 })).toEqual([])
  expect(heard(table, 'peer-0', { issued: unix + 9 })[0]?.kind).toBe('PeerAppeared')
})

test('records with a clock too far off, or with an address of somebody else, are refused with the reason', () => {
  const refused = (change: Partial<Hello>): unknown => {
    const [effect] = heard(new PeerTable(), 'a', change)
    return effect?.kind === 'Refused' ? effect.reason : effect?.kind
  }
  expect(refused({ issued: unix + helloClockSkewMsMax })).toBe('PeerAppeared')
  expect(refused({ issued: unix + helloClockSkewMsMax + 1 })).toBe('its clock is ahead')
  expect(refused({ issued: unix - helloClockSkewMsMax })).toBe('PeerAppeared')
  expect(refused({ issued: unix - helloClockSkewMsMax - 1 })).toBe('it is too old')
  expect(refused({ addresses: ['/ip4/192.0.2.1/tcp/1/p2p/b'] })).toBe('an address names another peer')
})

test('a full table takes no stranger, and still hears those it knows', () => {
  const table = new PeerTable()
  for (let i = 0; i < knownPeersMax; i++) heard(table, `peer-${i}`)
  expect(heard(table, 'one too many')).toEqual([
    { kind: 'Refused', peer: 'one too many', reason: 'the table is full' },
  ])
  expect(heard(table, 'peer-0', { issued: unix + 1 })[0]?.kind).toBe('PeerChanged')
})
