/**
 * How fast the codecs are: one thread codes a vector part by part, as a round does, and decodes it again; a copy of the
 * same values, part by part too, stands between them in each turn. The first turns warm up and are not counted.
 *
 * Values are normal: that is what updates come near to, and a codec's time depends on them where it sorts.
 */

import { partitionOf } from '../protocols/allreduce/plan/parts.ts'
import { seededRandom } from '../protocols/core/random.ts'
import { type Codec, type CodecName, codecFor } from '../protocols/wire/codecs/index.ts'
import { type Spread, spreadOf, spreadText, tableText } from './statistics.ts'

export interface CodecsOptions {
  /** Elements of the vector. */
  parameters: number
  /** Turns that are counted. */
  rounds: number
  codecs: readonly CodecName[]
}

/** One line of the result. Rates are of the values as f32, in 10⁶ bytes a second. */
export interface CodecRow {
  codec: CodecName
  parameters: number
  rounds: number
  /** Of an encoded update, for each value. */
  bytes_per_parameter: number
  copy_mb_s: Spread
  encode_mb_s: Spread
  /** A mean is coded by its reducer; sparse codecs code it otherwise than an update. */
  encode_mean_mb_s: Spread
  decode_mb_s: Spread
  /** A copy's time by the encoding's, of the same turn. */
  encode_by_copy: Spread
  decode_by_copy: Spread
}

/** The compiler has settled by then. */
const warmUpTurns = 3

/** Measures all codecs in turn, so that a busy moment meets each of them. Prints a table unless `json`. */
export async function benchCodecs(options: CodecsOptions & { json: boolean }): Promise<CodecRow[]> {
  const { parameters, rounds, codecs } = options
  const random = seededRandom(1)
  const values = Float32Array.from({ length: parameters }, () => random.normal())
  const subjects = codecs.map((name) => new Subject(codecFor(name), values))
  for (let turn = 0; turn < warmUpTurns + rounds; turn++) {
    for (const subject of subjects) subject.measure(turn >= warmUpTurns)
  }
  const rows = subjects.map((subject) => subject.row())
  if (!options.json) process.stdout.write(tableText([heading, ...rows.map(cellsOf)]))
  return rows
}

/** The times of one turn, in milliseconds. */
interface Turn {
  copyMs: number
  encodeMs: number
  encodeMeanMs: number
  decodeMs: number
}

/** One codec, with the vector that it codes. */
class Subject {
  readonly #codec: Codec
  readonly #values: Float32Array
  readonly #target: Float32Array
  readonly #turns: Turn[] = []
  #bytes = 0

  constructor(codec: Codec, values: Float32Array) {
    this.#codec = codec
    this.#values = values
    this.#target = new Float32Array(values.length)
  }

  measure(isCounted: boolean): void {
    const parts = slicesOf(this.#values)
    const targets = slicesOf(this.#target)
    const copyMs = timed(parts, (part, index) => targets[index]!.set(part))
    const coded = new Array<Uint8Array>(parts.length)
    const encodeMs = timed(parts, (part, index) => {
      coded[index] = this.#codec.encode(part)
    })
    const encodeMeanMs = timed(parts, (part) => this.#codec.encodeMean(part))
    const decodeMs = timed(coded, (bytes, index) => this.#codec.decode(bytes, targets[index]!))
    this.#bytes = coded.reduce((sum, { length }) => sum + length, 0)
    if (isCounted) this.#turns.push({ copyMs, encodeMs, encodeMeanMs, decodeMs })
  }

  row(): CodecRow {
    const parameters = this.#values.length
    const spread = (of: (turn: Turn) => number) => spreadOf(this.#turns.map(of))
    const rate = (ms: number) => (4 * parameters) / 1e3 / ms
    return {
      codec: this.#codec.name,
      parameters,
      rounds: this.#turns.length,
      bytes_per_parameter: this.#bytes / parameters,
      copy_mb_s: spread(({ copyMs }) => rate(copyMs)),
      encode_mb_s: spread(({ encodeMs }) => rate(encodeMs)),
      encode_mean_mb_s: spread(({ encodeMeanMs }) => rate(encodeMeanMs)),
      decode_mb_s: spread(({ decodeMs }) => rate(decodeMs)),
      encode_by_copy: spread(({ copyMs, encodeMs }) => copyMs / encodeMs),
      decode_by_copy: spread(({ copyMs, decodeMs }) => copyMs / decodeMs),
    }
  }
}

/** The parts of `vector` as a round cuts it, views. */
function slicesOf(vector: Float32Array): Float32Array[] {
  const { partElements } = partitionOf(vector.length)
  const count = Math.ceil(vector.length / partElements)
  return Array.from({ length: count }, (_, part) =>
    vector.subarray(part * partElements, (part + 1) * partElements),
  )
}

/** Milliseconds that `work` takes on all `parts`. */
function timed<Part>(parts: readonly Part[], work: (part: Part, index: number) => unknown): number {
  const startedMs = performance.now()
  for (let index = 0; index < parts.length; index++) work(parts[index]!, index)
  return performance.now() - startedMs
}

const heading = [
  'codec',
  'B/param',
  'copy MB/s',
  'encode MB/s',
  'encode a mean',
  'decode MB/s',
  'encode by copy',
  'decode by copy',
]

function cellsOf(row: CodecRow): string[] {
  return [
    row.codec,
    row.bytes_per_parameter.toFixed(3),
    spreadText(row.copy_mb_s, 0),
    spreadText(row.encode_mb_s, 0),
    spreadText(row.encode_mean_mb_s, 0),
    spreadText(row.decode_mb_s, 0),
    spreadText(row.encode_by_copy, 3),
    spreadText(row.decode_by_copy, 3),
  ]
}
