/**
 * STUN's one question, "from which address do my packets come?" (RFC 8489), as its server sees it. Pure.
 *
 *     0       2        4          8                 20
 *     | type  | length | 2112a442 | transaction id  | attributes: length bytes, not looked at in a question
 *
 * The answer has one attribute, XOR-MAPPED-ADDRESS: the address, mixed with the cookie and the id, since some routers
 * rewrite the addresses that they find in packets. No credentials and no other method: whoever can ask may know.
 */

import { multiaddr } from '@multiformats/multiaddr'

/** What a datagram's sender looks like from outside. */
export interface SenderAddress {
  family: 'IPv4' | 'IPv6'
  /** In text, as Node's `dgram` gives it. */
  address: string
  port: number
}

/** RFC 8489, section 5: type, length, cookie and transaction id. */
const headerBytes = 20
/** Section 5: method Binding, class request; and class success response. */
const bindingRequest = 0x0001
const bindingSuccess = 0x0101
/** Section 5: tells STUN from what else may arrive at a port. */
const magicCookie = 0x2112a442
/** Section 14.2. */
const xorMappedAddress = 0x0020
const familyCodes = { IPv4: 0x01, IPv6: 0x02 } as const

/**
 * The answer to a Binding request that came from `sender`, 32 or 44 bytes; undefined when `datagram` is none: what is
 * not STUN is not answered, so that nobody can make this server talk to others at length. Nor is a sender without a
 * port, which asks for no answer (RFC 768) and to which none can be sent.
 */
export function answerBinding(datagram: Uint8Array, sender: SenderAddress): Uint8Array | undefined {
  if (datagram.length < headerBytes || sender.port === 0) return undefined
  const question = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  const isBinding =
    question.getUint16(0) === bindingRequest &&
    question.getUint16(2) === datagram.length - headerBytes &&
    question.getUint32(4) === magicCookie
  if (!isBinding) return undefined

  const address = addressBytes(sender)
  const answer = new Uint8Array(headerBytes + 8 + address.length)
  const view = new DataView(answer.buffer)
  view.setUint16(0, bindingSuccess)
  view.setUint16(2, answer.length - headerBytes)
  answer.set(datagram.subarray(4, headerBytes), 4)
  view.setUint16(20, xorMappedAddress)
  view.setUint16(22, 4 + address.length)
  view.setUint8(25, familyCodes[sender.family])
  view.setUint16(26, sender.port ^ (magicCookie >>> 16))
  // Cookie and transaction id stand one behind the other in the header: 4 bytes of them for IPv4, all 16 for IPv6.
  for (const [i, byte] of address.entries()) answer[28 + i] = byte ^ answer[4 + i]!
  return answer
}

/** 4 or 16 bytes. A multiaddr of one part is its code, one byte for these two, and the address. */
function addressBytes({ family, address }: SenderAddress): Uint8Array {
  const [bare] = address.split('%') // without the zone of a link-local address
  return multiaddr(`/${family === 'IPv4' ? 'ip4' : 'ip6'}/${bare}`).bytes.subarray(1)
}
