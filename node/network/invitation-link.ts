/**
 * The link that invites a browser into a run; browser-client/page reads it. All of it stands behind the `#`, so no
 * server logs it.
 */

import type { SwarmKey } from '../peer/swarm-key.ts'

/** A link with more would not fit a QR code that a phone reads from a terminal. */
const addressesMax = 3

export interface LinkInit {
  /** Where the donor page is, ending in a slash. */
  pageUrl: string
  /** CID of the job's manifest. */
  job: string
  /** Multiaddrs of the coordinator, those that a browser cannot dial among them. */
  addresses: readonly string[]
  /** Of a private swarm: whoever has the link is let in. */
  swarmKey?: SwarmKey | undefined
}

/**
 * `<page>#job=<cid>&at=<multiaddr>&at=…`, and `&key=<key>` of a private swarm, with the addresses that a page at `pageUrl` can dial, the likeliest first.
 * `undefined` when there is none: nothing listens on WebSockets.
 */
export function invitationLink({ pageUrl, job, addresses, swarmKey }: LinkInit): string | undefined {
  const { protocol, hostname } = new URL(pageUrl)
  const isNear = ['localhost', '[::1]'].includes(hostname) || hostname.startsWith('127.')
  const dialable = addresses
    .filter((address) => (protocol === 'https:' && !isNear ? isSecure(address) : isWebSocket(address)))
    .sort((a, b) => Number(isLoopback(b) === isNear) - Number(isLoopback(a) === isNear))
  if (dialable.length === 0) return undefined
  const at = dialable.slice(0, addressesMax).map((address) => `&at=${escaped(address)}`)
  const key = swarmKey === undefined ? '' : `&key=${swarmKey}`
  return `${pageUrl}#job=${job}${at.join('')}${key}`
}

const isWebSocket = (address: string): boolean => /\/wss?(\/|$)/.test(address)
const isSecure = (address: string): boolean => /\/(wss|tls\/ws|tls\/sni\/[^/]+\/ws)(\/|$)/.test(address)
const isLoopback = (address: string): boolean => /^\/(ip4\/127\.|ip6\/::1\/|dns4?\/localhost\/)/.test(address)

/** Slashes are allowed in a fragment, and make it half as long. */
const escaped = (address: string): string => encodeURIComponent(address).replaceAll('%2F', '/')
