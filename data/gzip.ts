/** Gunzip with a limit, by the platform's own DecompressionStream (Node 18 and every browser since 2023). */

import { SwarmError } from '../protocols/core/errors.ts'

/** True when `bytes` begin with gzip's magic number (RFC 1952 section 2.3.1). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b
}

/**
 * The unpacked content of `bytes`. Stops as soon as there are more than `bytesMax` bytes, so that a small file cannot
 * fill the memory.
 * @throws {SwarmError} DATA_INVALID when it is not gzip, cut off or fails its checksum; LIMIT_EXCEEDED.
 */
export async function gunzip(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = new Blob([bytes as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream('gzip'))
    .getReader()
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw new SwarmError('DATA_INVALID', 'the gzip file is damaged or cut off', {
        cause,
        hint: 'Download it again.',
      })
    })
    if (done) return concat(chunks, length)
    length += value.length
    if (length > bytesMax) {
      await reader.cancel()
      throw new SwarmError('LIMIT_EXCEEDED', `the gzip file unpacks to more than ${bytesMax} bytes`)
    }
    chunks.push(value)
  }
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const result = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    result.set(chunk, offset)
    offset += chunk.length
  }
  return result
}
