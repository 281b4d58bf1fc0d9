/**
 * What makes a swarm private: 256 random bits that all its peers have, and strangers do not. They go into the prologue of
 * each Noise handshake (Noise specification, revision 34, section 6), which both sides must have alike: a handshake with
 * another key, or with none, fails before either side has said more than its peer id. So the key holds wherever there is a
 * handshake: over TCP, WebSockets and relays, and WebRTC, whose parties shake hands over a relay first.
 *
 * It lets in and keeps out; what is said between those who are in is encrypted without it, by keys of each connection.
 * Where it is kept, and who is handed it, is the program's business: node/storage/swarm-key.ts, and the link for tabs.
 */

/** As text: 43 characters of base64url, as it stands in files and links. */
export type SwarmKey = string

/** Another use of the same bits, if there ever is one, shall not be mistaken for this one. */
const purpose = 'starling/swarm-key/1:'

/** Whether `text` has the form of a key: a word that somebody thought up could be guessed. */
export function isSwarmKey(text: string): text is SwarmKey {
  return /^[A-Za-z0-9_-]{43}$/.test(text)
}

/** What both sides of a handshake must have alike; empty for a swarm that is open to all. */
export function swarmPrologue(key: SwarmKey | undefined): Uint8Array {
  return new TextEncoder().encode(key === undefined ? '' : purpose + key)
}
