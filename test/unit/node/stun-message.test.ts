/** STUN's Binding answers, against the examples of RFC 5769. */

import { expect, test } from 'vitest'
import { answerBinding, type SenderAddress } from '../../../node/network/stun-message.ts'

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))

/** The transaction id of all examples of RFC 5769. */
const cookieAndId = '2112a442 b7e7a701bc34d686fa87dfae'
const question = bytes(`0001 0000 ${cookieAndId}`)
const sender: SenderAddress = { family: 'IPv4', address: '192.0.2.1', port: 32_853 }

test('an IPv4 address is mixed with the cookie as in RFC 5769, section 2.2', () => {
  expect(answerBinding(question, sender)).toEqual(
    bytes(`0101 000c ${cookieAndId} 0020 0008 0001 a147 e112a643`),
  )
})

test('an IPv6 address is mixed with cookie and transaction id as in RFC 5769, section 2.3', () => {
  const address = '2001:db8:1234:5678:11:2233:4455:6677'
  expect(answerBinding(question, { ...sender, family: 'IPv6', address })).toEqual(
    bytes(`0101 0018 ${cookieAndId} 0020 0014 0002 a147 0113a9faa5d3f179 bc25f4b5bed2b9d9`),
  )
})

test('a question with attributes is answered as one without', () => {
  const software = bytes(`0001 0008 ${cookieAndId} 8022 0004 74657374`)
  expect(answerBinding(software, sender)).toEqual(answerBinding(question, sender))
})

test('a sender without a port is not answered: to send to port 0 would end the process', () => {
  expect(answerBinding(question, { ...sender, port: 0 })).toBeUndefined()
})

test.each([
  ['shorter than a header', question.subarray(0, 19)],
  ['an answer', bytes(`0101 0000 ${cookieAndId}`)],
  ['another cookie', bytes('0001 0000 2112a443 b7e7a701bc34d686fa87dfae')],
  ['a length that it has not', bytes(`0001 0004 ${cookieAndId}`)],
  ['a video packet', new Uint8Array(1200).fill(0x80)],
])('what is no question is not answered: %s', (_, datagram) => {
  expect(answerBinding(datagram, sender)).toBeUndefined()
})
