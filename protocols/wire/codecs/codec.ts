/**
 * How the values of an update are coded on the wire. A job names one codec and every peer of its run uses it, for what
 * peers send to reducers and for what reducers send back. Codecs are exact functions: the same values give the same
 * bytes on every platform, so an encoded mean can be agreed on by its digest.
 */

export type CodecName = 'f32' | 'int8'

export interface Codec {
  readonly name: CodecName
  /** Bytes that one element costs on average, for estimates. */
  readonly bytesPerElement: number
  /** Bytes of the encoding of `length` elements, exactly. */
  encodedBytes(length: number): number
  /**
   * A new buffer with the encoding of `values` (borrowed).
   * @throws {SwarmError} PART_INVALID when a value is not finite.
   */
  encode(values: Float32Array): Uint8Array
  /**
   * Fills `into` with the values in `bytes`; all of them finite.
   * @throws {SwarmError} PART_INVALID when `bytes` is no encoding of `into.length` elements; `into` is then undefined.
   */
  decode(bytes: Uint8Array, into: Float32Array): void
}
