/**
 * WebAssembly modules from source that a program carries as text: a subset of the text format (WebAssembly 2.0, chapter
 * 6), written flat, an instruction after the other, as many as the loops of this folder need. So there is no binary to
 * build, to fetch or to trust, and what runs is what can be read.
 *
 *     loop                           ;; to the matching `end`; `br_if 0` goes back to the start of the innermost
 *       local.get $from  v128.load offset=16  local.get $mask  v128.and
 *     end
 *
 * A function takes and returns what its row says; a module has one memory, `memory`, and exports all functions by name.
 * No blocks with results, no calls, no tables. Source comes from this program, never from a peer: what it cannot read
 * is a bug.
 */

import { assert } from '../../core/assert.ts'

export type ValueType = 'i32' | 'f64' | 'v128'

export interface WatFunction {
  /** Name and type of each, in order; called `$name` in the body. */
  params: Readonly<Record<string, ValueType>>
  /** The same; zero at the start. */
  locals: Readonly<Record<string, ValueType>>
  body: string
}

const valueTypes: { [Type in ValueType]: number } = { i32: 0x7f, f64: 0x7c, v128: 0x7b }

/** What follows an instruction in the text, and how it is written down. */
type Immediate = 'none' | 'void' | 'local' | 'label' | 'i32' | 'f64' | 'lane' | 'lanes'
/** Loads and stores: an optional `offset=`, and the logarithm of the alignment that is promised. */
type Access = { alignment: number }

/** Bytes of each instruction (WebAssembly 2.0, section 5.4); those of vectors start with 0xfd. */
const instructions: Readonly<Record<string, readonly [readonly number[], Immediate | Access]>> = {
  loop: [[0x03], 'void'],
  end: [[0x0b], 'none'],
  br_if: [[0x0d], 'label'],
  'local.get': [[0x20], 'local'],
  'local.set': [[0x21], 'local'],
  'local.tee': [[0x22], 'local'],
  'i32.const': [[0x41], 'i32'],
  'f64.const': [[0x44], 'f64'],
  'f64.load': [[0x2b], { alignment: 3 }],
  'i32.store': [[0x36], { alignment: 2 }],
  'i32.lt_u': [[0x49], 'none'],
  'i32.add': [[0x6a], 'none'],
  'f32.demote_f64': [[0xb6], 'none'],
  'v128.load': [vector(0x00), { alignment: 2 }],
  'v128.load8x8_s': [vector(0x01), { alignment: 0 }],
  'v128.store': [vector(0x0b), { alignment: 0 }],
  'i8x16.shuffle': [vector(0x0d), 'lanes'],
  'i16x8.splat': [vector(0x10), 'none'],
  'i32x4.splat': [vector(0x11), 'none'],
  'f32x4.splat': [vector(0x13), 'none'],
  'f64x2.splat': [vector(0x14), 'none'],
  'i32x4.extract_lane': [vector(0x1b), 'lane'],
  'v128.and': [vector(0x4e), 'none'],
  'v128.or': [vector(0x50), 'none'],
  'v128.load64_zero': [vector(0x5d), { alignment: 2 }],
  'f32x4.demote_f64x2_zero': [vector(0x5e), 'none'],
  'f64x2.promote_low_f32x4': [vector(0x5f), 'none'],
  'i8x16.narrow_i16x8_s': [vector(0x65), 'none'],
  'i8x16.narrow_i16x8_u': [vector(0x66), 'none'],
  'i8x16.shl': [vector(0x6b), 'none'],
  'i8x16.shr_s': [vector(0x6c), 'none'],
  'i16x8.narrow_i32x4_s': [vector(0x85), 'none'],
  'i16x8.extend_low_i8x16_s': [vector(0x87), 'none'],
  'i16x8.extend_high_i8x16_s': [vector(0x88), 'none'],
  'i16x8.shr_u': [vector(0x8d), 'none'],
  'i32x4.extend_low_i16x8_s': [vector(0xa7), 'none'],
  'i32x4.extend_high_i16x8_s': [vector(0xa8), 'none'],
  'i32x4.max_s': [vector(0xb8), 'none'],
  'f32x4.mul': [vector(0xe6), 'none'],
  'f64x2.add': [vector(0xf0), 'none'],
  'f64x2.mul': [vector(0xf2), 'none'],
  'f64x2.div': [vector(0xf3), 'none'],
  'f32x4.convert_i32x4_s': [vector(0xfa), 'none'],
}

/** The module of `functions`, with a memory of `pages` of 64 KiB (WebAssembly 2.0, section 5.5). */
export function moduleOf(
  functions: Readonly<Record<string, WatFunction>>,
  pages: number,
): Uint8Array<ArrayBuffer> {
  const all = Object.values(functions)
  const types = all.map(({ params }) => [
    0x60,
    ...list(Object.values(params).map((type) => [valueTypes[type]])),
    0,
  ])
  const exported = Object.keys(functions).map((name, index) => [...text(name), 0x00, ...unsigned(index)])
  return Uint8Array.of(
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, types),
    ...section(
      3,
      all.map((_, index) => unsigned(index)),
    ),
    ...section(5, [[0x01, ...unsigned(pages), ...unsigned(pages)]]),
    ...section(7, [[...text('memory'), 0x02, 0x00], ...exported]),
    ...section(
      10,
      all.map((each) => sized(codeOf(each))),
    ),
  )
}

function codeOf({ params, locals, body }: WatFunction): number[] {
  const names = [...Object.keys(params), ...Object.keys(locals)]
  const words = body.replaceAll(/;;.*$/gm, '').split(/\s+/).filter(Boolean)
  const code = list(Object.values(locals).map((type) => [1, valueTypes[type]]))
  while (words.length > 0) {
    const name = words.shift()!
    const row = instructions[name]
    assert(row !== undefined, `instruction ${name} is known`)
    const [opcode, immediate] = row
    code.push(...opcode, ...immediateOf(immediate, words, names))
  }
  return [...code, 0x0b]
}

function immediateOf(
  immediate: Immediate | Access,
  words: string[],
  locals: readonly string[],
): readonly number[] {
  if (typeof immediate === 'object') {
    const offset = words[0]?.startsWith('offset=') ? Number(words.shift()!.slice('offset='.length)) : 0
    return [...unsigned(immediate.alignment), ...unsigned(offset)]
  }
  switch (immediate) {
    case 'none':
      return []
    case 'void':
      return [0x40]
    case 'local': {
      const name = words.shift()!
      const index = locals.indexOf(name.slice(1))
      assert(name.startsWith('$') && index >= 0, `${name} is a local`)
      return unsigned(index)
    }
    case 'label':
    case 'lane':
      return unsigned(Number(words.shift()))
    case 'i32':
      return signed(Number(words.shift()))
    case 'f64':
      return new Uint8Array(Float64Array.of(Number(words.shift())).buffer) as unknown as number[]
    case 'lanes':
      return words.splice(0, 16).map(Number)
  }
}

function vector(code: number): number[] {
  return [0xfd, ...unsigned(code)]
}

function section(id: number, entries: readonly (readonly number[])[]): number[] {
  return [id, ...sized(list(entries))]
}

function list(entries: readonly (readonly number[])[]): number[] {
  return [...unsigned(entries.length), ...entries.flat()]
}

function text(name: string): number[] {
  return sized([...new TextEncoder().encode(name)])
}

function sized(bytes: readonly number[]): number[] {
  return [...unsigned(bytes.length), ...bytes]
}

/** LEB128 of an integer, 0 to 2^31 − 1. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

/** Signed LEB128 of a 32-bit integer. */
function signed(value: number): number[] {
  const rest = value >> 7
  const isLast = (rest === 0 && (value & 0x40) === 0) || (rest === -1 && (value & 0x40) !== 0)
  return isLast ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(rest)]
}
