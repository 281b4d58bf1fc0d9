/**
 * Whom a tab asks for the address that the world sees it under, which WebRTC needs behind a home router: the
 * coordinator of its invitation, which answers on UDP where it takes WebSockets (node/network/stun-server.ts). Nobody else is
 * asked.
 */

/** Each one that does not answer is waited for; browsers warn of five. */
const serversMax = 2

/** A host in a multiaddr, the port of its WebSocket, and how they are told apart from a relayed address. */
const webSocketAddress =
  /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)(\/tls(\/sni\/[^/]+)?)?\/wss?(?=\/p2p\/[^/]+$|$)/

/** STUN servers at `addresses`, the multiaddrs of an invitation; those that are no WebSocket's are passed over. */
export function iceServers(addresses: readonly string[]): RTCIceServer[] {
  const urls = addresses.flatMap((address) => {
    const [, kind, host, port] = webSocketAddress.exec(address) ?? []
    if (host === undefined) return []
    return [`stun:${kind === 'ip6' ? `[${host}]` : host}:${port}`]
  })
  return [...new Set(urls)].slice(0, serversMax).map((url) => ({ urls: url }))
}
