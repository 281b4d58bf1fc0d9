/** What those who wait hear of the addresses that a peer is given to begin with. */

import { expect, test } from 'vitest'
import { FirstAddresses, type FirstAddressNews } from '../../../protocols/discovery/first-addresses.ts'

const address = '/ip4/192.0.2.7/tcp/4001'
const refused = new Error('connect ECONNREFUSED 192.0.2.7:4001')
const otherKey = Object.assign(new Error('decryption failed'), { name: 'EncryptionFailedError' })

function followed() {
  const first = new FirstAddresses([address])
  const news: FirstAddressNews[] = []
  first.on((one) => news.push(one))
  return { first, news }
}

test('a coordinator that comes back with another key is told, after it was told that nobody answers', () => {
  const { first, news } = followed()
  for (const cause of [refused, new Error('timed out'), otherKey, otherKey]) first.missed(address, cause)
  const missed = { kind: 'missed', address }
  expect(news).toEqual([
    { ...missed, cause: refused },
    { ...missed, cause: otherKey },
  ])
  const late: FirstAddressNews[] = []
  first.on((one) => late.push(one))
  expect(late).toEqual([{ ...missed, cause: otherKey }])
})

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
