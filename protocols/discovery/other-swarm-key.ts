/**
 * How a dial fails where somebody answers who is of another swarm. What the key of a private one is, and where it stands
 * in a handshake, is the program's business (node/peer/swarm-key.ts).
 */

/**
 * Whether a dial failed since who answered has another key, or has one where this program has none, or none. Such a
 * handshake ends at its first authenticated message, of which libp2p passes on the words alone; one that ends since
 * another peer is behind the address says something else. A name that stands for several addresses fails with the
 * errors of all, of which one such is enough.
 */
export function isOtherSwarmKey(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isOtherSwarmKey)
  return error instanceof Error && error.name === 'EncryptionFailedError' && /decryption/.test(error.message)
}
