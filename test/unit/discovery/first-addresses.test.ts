/** What those who wait hear of the addresses that a peer is given to begin with. */

import { expect, test } from 'vitest'
import { FirstAddresses, type FirstAddressNews } from '../../../protocols/discovery/first-addresses.ts'

const address = '/ip4/192.0.2.7/tcp/4001'
const refused = new Error('connect ECONNREFUSED 192.0.2.7:4001')
const otherKey = Object.assign(new Error('decryption failed'), { name: 'EncryptionFailedError' })
const bothOfAName = new AggregateError([refused, otherKey], 'All multiaddr dials failed')

function followed() {
  const first = new FirstAddresses([address])
  const news: FirstAddressNews[] = []
  first.on((one) => news.push(one))
  return { first, news }
}

test.each([
  ['an address', otherKey],
  ['a name with two addresses', bothOfAName],
])(
  'a coordinator that comes back with another key behind %s is told, after it was told that nobody answers',
  (_, answered) => {
    const { first, news } = followed()
    for (const cause of [refused, new Error('timed out'), answered, answered]) first.missed(address, cause)
    const missed = { kind: 'missed', address }
    expect(news).toEqual([
      { ...missed, cause: refused },
      { ...missed, cause: answered },
    ])
    const late: FirstAddressNews[] = []
    first.on((one) => late.push(one))
    expect(late).toEqual([{ ...missed, cause: answered }])
  },
)

test('an address that is reached again is told once, and so is its next failure', () => {
  const { first, news } = followed()
  first.missed(address, refused)
  first.reached(address)
  first.reached(address)
  first.missed(address, refused)
  expect(news.map(({ kind }) => kind)).toEqual(['missed', 'reached', 'missed'])
})

test('of an address that is not among the first nothing is told', () => {
  const { first, news } = followed()
  first.missed('/ip4/192.0.2.8/tcp/4001', refused)
  expect(news).toEqual([])
})
