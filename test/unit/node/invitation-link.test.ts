/**
 * The link into a run: which addresses a browser can dial from where the page is, and that the page reads what is
 * written.
 */

import { expect, test } from 'vitest'
import { readInvitation } from '../../../browser-client/page/invitation.ts'
import { invitationLink } from '../../../node/network/invitation-link.ts'

const id = '12D3KooWD4DZKnzc7uHpGEu1bTzKimmSv6MH9yRaU8ZvTuDFULQM'
const job = 'bafyreiaz2rorh7wswtxsx7cxvdhq5dco6ns7sa6jct7c4hv5q6hie4tvsi'
const tcp = `/ip4/127.0.0.1/tcp/4001/p2p/${id}`
const near = `/ip4/127.0.0.1/tcp/4002/ws/p2p/${id}`
const far = `/ip4/192.0.2.2/tcp/4002/ws/p2p/${id}`
const secure = `/dns4/train.example/tcp/443/tls/ws/p2p/${id}`
const all = [tcp, far, near, secure]

const addressesIn = (link: string | undefined) => readInvitation(new URL(link!).hash).addresses

test('a link to a page on this machine names the WebSocket of this machine first', () => {
  const link = invitationLink({ pageUrl: 'http://localhost:4003/', job, addresses: all })
  expect(link).toMatch(/^http:\/\/localhost:4003\/#job=bafy/)
  expect(readInvitation(new URL(link!).hash)).toEqual({ job, addresses: [near, far, secure] })
})

test('a page from https can dial only what is encrypted too', () => {
  const link = invitationLink({ pageUrl: 'https://train.example/', job, addresses: all })
  expect(addressesIn(link)).toEqual([secure])
})

test('without a WebSocket there is no link', () => {
  expect(invitationLink({ pageUrl: 'http://localhost:4003/', job, addresses: [tcp] })).toBeUndefined()
})

test('the link into a private swarm has its key, and one that was cut is refused', () => {
  const swarmKey = 'k'.repeat(43)
  const link = invitationLink({ pageUrl: 'http://localhost:4003/', job, addresses: all, swarmKey })!
  const { hash, search, pathname } = new URL(link)
  expect(search + pathname).toBe('/') // what a server is told
  expect(readInvitation(hash)).toEqual({ job, addresses: [near, far, secure], swarmKey })
  expect(() => readInvitation(hash.slice(0, -1))).toThrow('its key is not whole')
})

test('what an address has of its own cannot add another field to the link', () => {
  const odd = `/dns4/a&at=b#c/tcp/1/ws/p2p/${id}`
  const link = invitationLink({ pageUrl: 'http://localhost:4003/', job, addresses: [odd] })
  expect(addressesIn(link)).toEqual([odd])
})
