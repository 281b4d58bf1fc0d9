/**
 * A name that can be said aloud for a peer id, which cannot: `quiet wren`.
 *
 * Peers never choose it, so it insults nobody and needs no agreement: every page derives the same one. 1,024 names are
 * few enough that two peers may share one; the short id stands beside it wherever that matters.
 */

const manners =
  'amber ashen bold brave bright brisk calm clear copper dappled dawn dusky early gentle golden grey keen late lively lunar merry mild misty nimble pale quick quiet rusty silver sooty steady swift'.split(
    ' ',
  )

const birds =
  'avocet bunting chough crane curlew dipper dunlin egret finch godwit grebe heron hoopoe jackdaw kestrel knot lapwing linnet magpie martin merlin oriole osprey petrel pipit plover redstart shrike siskin swallow tern wren'.split(
    ' ',
  )

/** FNV-1a, 32 bit (offset basis and prime of the algorithm): spreads ids that differ in one character. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  }
  return value >>> 0
}

/** Two words, the same for the same `id` everywhere. */
export function nickname(id: string): string {
  const value = hash(id)
  return `${manners[value % manners.length]} ${birds[(value >>> 8) % birds.length]}`
}
