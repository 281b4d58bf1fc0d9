/** Whom a tab asks for its address: the WebSocket addresses of its invitation, on UDP. */

import { expect, test } from 'vitest'
import { iceServers } from '../../../browser-client/peer/ice-servers.ts'

const peer = '12D3KooWGatYCqmPqGhqGvCzLbsPb4oBDBRcCAvxWGRkHtZDKzPr'

test('IPv4, IPv6 and named coordinators are asked at the port of their WebSocket', () => {
  expect(iceServers([`/ip4/192.0.2.7/tcp/4002/ws/p2p/${peer}`])).toEqual([{ urls: 'stun:192.0.2.7:4002' }])
  expect(iceServers([`/ip6/2001:db8::7/tcp/4002/ws/p2p/${peer}`])).toEqual([
    { urls: 'stun:[2001:db8::7]:4002' },
  ])
  expect(iceServers([`/dns4/train.example/tcp/443/tls/ws/p2p/${peer}`])).toEqual([
    { urls: 'stun:train.example:443' },
  ])
})

test('an address twice is asked once, of many the first two, and what is no WebSocket never', () => {
  const at = (host: number) => `/ip4/192.0.2.${host}/tcp/4002/ws/p2p/${peer}`
  expect(iceServers([at(1), at(1), at(2), at(3)])).toEqual([
    { urls: 'stun:192.0.2.1:4002' },
    { urls: 'stun:192.0.2.2:4002' },
  ])
  expect(iceServers(['/ip4/192.0.2.1/tcp/4001', `${at(1)}/p2p-circuit/p2p/${peer}`])).toEqual([])
})
