/**
 * How the values of an update are coded on the wire. Codecs are exact functions: the same values give the same bytes on
 * every platform, so an encoded mean can be agreed on by its digest.
 *
 * A *coding* turns values into bytes and back; each is a file beside this one. A *codec* is what a job names: the
 * coding of its updates and that of its means, which differ where updates are sparse, because a mean has more values
 * than any of the updates in it. A codec writes the coding's id in front, and decodes every coding that peers of its
 * job may use:
 *
 *     id u8 ‖ the coding's own bytes
 */

/** What a job file calls its codec, from the finest to the coarsest. */
export const codecNames = ['f32', 'f16', 'int8', 'int4', 'topk'] as const

export type CodecName = (typeof codecNames)[number]

/** What a reader of the bytes meets: the codecs, and `sparse`, in which the means of `topk` updates are coded. */
export type CodingName = CodecName | 'sparse'

export interface Coding {
  readonly name: CodingName
  /** Most bytes that an encoding of `length` elements takes; exactly so many unless the coding is a sparse one. */
  encodedBytes(length: number): number
  /**
   * The encoding of `values` (borrowed) behind `headBytes`, default 0, that are the caller's to fill: at the start of
   * `into`, where the coding can do that and it is long enough, and otherwise in a new buffer.
   * @throws {SwarmError} PART_INVALID when a value is not finite.
   */
  encode(values: Float32Array, headBytes?: number, into?: Uint8Array): Uint8Array
  /**
   * Fills `into` with the values in `bytes`; all of them finite. Returns a magnitude that none of them passes.
   * @throws {SwarmError} PART_INVALID when `bytes` is no encoding of `into.length` elements; `into` is then undefined.
   */
  decode(bytes: Uint8Array, into: Float32Array): number
  /**
   * What `decode` returns of `bytes`, without decoding them: from the scales alone, which are one number for a block of
   * values. Absent where only decoding tells.
   * @throws {SwarmError} PART_INVALID when `decode` would.
   */
  bound?(bytes: Uint8Array, length: number): number
}

export interface Codec {
  readonly name: CodecName
  /** Bytes that one element of an update takes, for estimates. */
  readonly bytesPerElement: number
  /** Bytes that one element of a mean takes at most, for estimates. */
  readonly meanBytesPerElement: number
  /** Most bytes that an update or a mean of `length` elements takes, whichever of the job's codings it is in. */
  encodedBytes(length: number): number
  /**
   * `values` (borrowed) as an update: at the start of `into`, if given, where the coding can do that, or in a new
   * buffer.
   * @throws {SwarmError} PART_INVALID when a value is not finite.
   */
  encode(values: Float32Array, into?: Uint8Array): Uint8Array
  /**
   * A new buffer with `values` (borrowed) as a mean of updates.
   * @throws {SwarmError} PART_INVALID when a value is not finite.
   */
  encodeMean(values: Float32Array): Uint8Array
  /**
   * Fills `into` with the values of an update or a mean; all of them finite. Returns a magnitude that none of them
   * passes.
   * @throws {SwarmError} PART_INVALID when `bytes` is no encoding of `into.length` elements, or in no coding of the
   *   job; `into` is then undefined.
   */
  decode(bytes: Uint8Array, into: Float32Array): number
  /**
   * What `decode` returns of `bytes`, an encoding of `length` elements, without decoding them; undefined where only
   * that tells.
   * @throws {SwarmError} PART_INVALID when it can be told without decoding that `bytes` is no encoding in a coding of
   * the job.
   */
  bound(bytes: Uint8Array, length: number): number | undefined
}
