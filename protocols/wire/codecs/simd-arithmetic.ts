/**
 * The codecs' loops in WebAssembly with vectors of 128 bits (fixed-width SIMD, WebAssembly 2.0), whose results have the
 * same bits on every machine. What each function does is told by `BlockArithmetic`.
 *
 * Memory is one page, at the addresses below. Loops run over whole blocks, so a few values more than are asked for are
 * computed, and nobody looks at them.
 */

import {
  type BlockArithmetic,
  block4Elements,
  block8Elements,
  blockElementsMin,
  stripElements,
} from './block-arithmetic.ts'
import { moduleOf, type WatFunction } from './flat-wat.ts'
import { roundingShift } from './quantum.ts'

const valuesAt = 0
const sumsAt = valuesAt + 4 * stripElements
const quantaAt = sumsAt + 4 * stripElements
const factorsAt = quantaAt + stripElements
const largestAt = factorsAt + (8 * stripElements) / blockElementsMin

/** i32x4 of four values at `offset`, rounded: the low halves of f64 that were shifted hold them as integers. */
const fourRounded = (offset: number) => `
  local.get $from  v128.load64_zero offset=${offset}      f64x2.promote_low_f32x4
  local.get $factor  f64x2.mul  local.get $shift  f64x2.add
  local.get $from  v128.load64_zero offset=${offset + 8}  f64x2.promote_low_f32x4
  local.get $factor  f64x2.mul  local.get $shift  f64x2.add
  i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27`

/** i8x16 of sixteen values at `offset`, rounded. None is beyond 127, so nothing saturates. */
const sixteenRounded = (offset: number) => `
  ${fourRounded(offset)}       ${fourRounded(offset + 16)}  i16x8.narrow_i32x4_s
  ${fourRounded(offset + 32)}  ${fourRounded(offset + 48)}  i16x8.narrow_i32x4_s
  i8x16.narrow_i16x8_s`

/** Eight 4-bit quanta, each pair in the low byte of an i16: of sixteen values at `offset`. */
const eightPairs = (offset: number) => `
  ${sixteenRounded(offset)}  local.tee $quanta  local.get $lowNibble  v128.and
  local.get $quanta  i32.const 4  i16x8.shr_u  local.get $highNibble  v128.and
  v128.or`

/** Stores four values at `offset`: quanta that are i32x4 after `quanta`, times the factor. */
const storeScaled = (offset: number, quanta: string) => `
  local.get $to  ${quanta}  f32x4.convert_i32x4_s  local.get $factor  f32x4.mul  v128.store offset=${valuesAt + offset}`

/** Stores sixteen values at `offset`, of the i8x16 that `quanta` names. */
const storeSixteen = (offset: number, quanta: string) => `
  local.get ${quanta}  i16x8.extend_low_i8x16_s  local.set $eight
  ${storeScaled(offset, 'local.get $eight  i32x4.extend_low_i16x8_s')}
  ${storeScaled(offset + 16, 'local.get $eight  i32x4.extend_high_i16x8_s')}
  local.get ${quanta}  i16x8.extend_high_i8x16_s  local.set $eight
  ${storeScaled(offset + 32, 'local.get $eight  i32x4.extend_low_i16x8_s')}
  ${storeScaled(offset + 48, 'local.get $eight  i32x4.extend_high_i16x8_s')}`

/** Two sums at `offset` with the weighted values there, as f32. */
const twoAdded = (offset: number) => `
  local.get $from  v128.load64_zero offset=${valuesAt + offset}  f64x2.promote_low_f32x4
  local.get $factor  f64x2.mul
  local.get $from  v128.load64_zero offset=${sumsAt + offset}  f64x2.promote_low_f32x4  f64x2.add
  f32x4.demote_f64x2_zero`

/** Puts two f32 and two f32 together, which stand in the low halves. */
const joined = 'i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23'

/** f32x4 of four. */
const fourAdded = (offset: number) => `${twoAdded(offset)}  ${twoAdded(offset + 8)}  ${joined}`

/** The quotients of two sums at `offset`, as f32. */
const twoDivided = (offset: number) => `
  local.get $from  v128.load64_zero offset=${offset}  f64x2.promote_low_f32x4
  local.get $divisor  f64x2.div  f32x4.demote_f64x2_zero`

/** f32x4 of four. */
const fourDivided = `${twoDivided(sumsAt)}  ${twoDivided(sumsAt + 8)}  ${joined}`

/** Four more magnitudes at `offset` for the maximum in `most`. */
const maximum = (most: string, offset: number) => `
  local.get $from  v128.load offset=${offset}  local.get $magnitude  v128.and
  local.get ${most}  i32x4.max_s  local.set ${most}`

const add = (local: string, bytes: number) =>
  `local.get ${local}  i32.const ${bytes}  i32.add  local.tee ${local}`

const functions: Readonly<Record<string, WatFunction>> = {
  findLargest: {
    params: { end: 'i32', blockBytes: 'i32' },
    locals: { from: 'i32', stop: 'i32', to: 'i32', magnitude: 'v128', most: 'v128', odd: 'v128' },
    body: `
      i32.const 0x7fffffff  i32x4.splat  local.set $magnitude
      loop ;; a block
        local.get $from  local.get $blockBytes  i32.add  local.set $stop
        i32.const 0  i32x4.splat  local.tee $most  local.set $odd
        loop ;; two chains of maxima, as each waits for its last
          ${maximum('$most', 0)}  ${maximum('$odd', 16)}  ${maximum('$most', 32)}  ${maximum('$odd', 48)}
          ${add('$from', 64)}  local.get $stop  i32.lt_u  br_if 0
        end
        local.get $most  local.get $odd  i32x4.max_s  local.tee $most
        local.get $most  local.get $most  i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7
        i32x4.max_s  local.set $most
        local.get $to
        local.get $most
        local.get $most  local.get $most  i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11
        i32x4.max_s  i32x4.extract_lane 0  i32.store offset=${largestAt}
        ${add('$to', 4)}  local.set $to
        local.get $from  local.get $end  i32.lt_u  br_if 0
      end`,
  },
  quantise8: {
    params: { end: 'i32' },
    locals: { from: 'i32', stop: 'i32', to: 'i32', block: 'i32', shift: 'v128', factor: 'v128' },
    body: `
      f64.const ${roundingShift}  f64x2.splat  local.set $shift
      loop ;; a block
        local.get $block  f64.load offset=${factorsAt}  f64x2.splat  local.set $factor
        ${add('$block', 8)}  local.set $block
        local.get $from  i32.const ${4 * block8Elements}  i32.add  local.set $stop
        loop
          local.get $to  ${sixteenRounded(valuesAt)}  v128.store offset=${quantaAt}
          ${add('$to', 16)}  local.set $to
          ${add('$from', 64)}  local.get $stop  i32.lt_u  br_if 0
        end
        local.get $from  local.get $end  i32.lt_u  br_if 0
      end`,
  },
  quantise4: {
    params: { end: 'i32' },
    locals: {
      ...{ from: 'i32', stop: 'i32', to: 'i32', block: 'i32' },
      ...{ shift: 'v128', factor: 'v128', quanta: 'v128', lowNibble: 'v128', highNibble: 'v128' },
    },
    body: `
      f64.const ${roundingShift}  f64x2.splat  local.set $shift
      i32.const 0x0f  i16x8.splat  local.set $lowNibble
      i32.const 0xf0  i16x8.splat  local.set $highNibble
      loop ;; a block
        local.get $block  f64.load offset=${factorsAt}  f64x2.splat  local.set $factor
        ${add('$block', 8)}  local.set $block
        local.get $from  i32.const ${4 * block4Elements}  i32.add  local.set $stop
        loop
          local.get $to
          ${eightPairs(valuesAt)}  ${eightPairs(valuesAt + 64)}  i8x16.narrow_i16x8_u
          v128.store offset=${quantaAt}
          ${add('$to', 16)}  local.set $to
          ${add('$from', 128)}  local.get $stop  i32.lt_u  br_if 0
        end
        local.get $from  local.get $end  i32.lt_u  br_if 0
      end`,
  },
  scale8: {
    params: { end: 'i32' },
    locals: {
      ...{ from: 'i32', stop: 'i32', to: 'i32', block: 'i32' },
      ...{ factor: 'v128', quanta: 'v128', eight: 'v128' },
    },
    body: `
      loop ;; a block
        local.get $block  f64.load offset=${factorsAt}  f32.demote_f64  f32x4.splat  local.set $factor
        ${add('$block', 8)}  local.set $block
        local.get $to  i32.const ${4 * block8Elements}  i32.add  local.set $stop
        loop
          local.get $from  v128.load offset=${quantaAt}  local.set $quanta
          ${storeSixteen(0, '$quanta')}
          ${add('$from', 16)}  local.set $from
          ${add('$to', 64)}  local.get $stop  i32.lt_u  br_if 0
        end
        local.get $to  local.get $end  i32.lt_u  br_if 0
      end`,
  },
  scale4: {
    params: { end: 'i32' },
    locals: {
      ...{ from: 'i32', stop: 'i32', to: 'i32', block: 'i32' },
      ...{ factor: 'v128', low: 'v128', high: 'v128', quanta: 'v128', eight: 'v128' },
    },
    body: `
      loop ;; a block
        local.get $block  f64.load offset=${factorsAt}  f32.demote_f64  f32x4.splat  local.set $factor
        ${add('$block', 8)}  local.set $block
        local.get $to  i32.const ${4 * block4Elements}  i32.add  local.set $stop
        loop
          local.get $from  v128.load offset=${quantaAt}  local.tee $high
          i32.const 4  i8x16.shl  i32.const 4  i8x16.shr_s  local.set $low
          local.get $high  i32.const 4  i8x16.shr_s  local.set $high
          local.get $low  local.get $high  i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23
          local.set $quanta
          ${storeSixteen(0, '$quanta')}
          local.get $low  local.get $high  i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31
          local.set $quanta
          ${storeSixteen(64, '$quanta')}
          ${add('$from', 16)}  local.set $from
          ${add('$to', 128)}  local.get $stop  i32.lt_u  br_if 0
        end
        local.get $to  local.get $end  i32.lt_u  br_if 0
      end`,
  },
  addWeighted: {
    params: { end: 'i32', weight: 'f64' },
    locals: { from: 'i32', factor: 'v128' },
    body: `
      local.get $weight  f64x2.splat  local.set $factor
      loop
        local.get $from  ${fourAdded(0)}  v128.store offset=${sumsAt}
        local.get $from  ${fourAdded(16)}  v128.store offset=${sumsAt + 16}
        ${add('$from', 32)}  local.get $end  i32.lt_u  br_if 0
      end`,
  },
  divide: {
    params: { end: 'i32', by: 'f64' },
    locals: { from: 'i32', divisor: 'v128' },
    body: `
      local.get $by  f64x2.splat  local.set $divisor
      loop
        local.get $from  ${fourDivided}  v128.store offset=${sumsAt}
        ${add('$from', 16)}  local.get $end  i32.lt_u  br_if 0
      end`,
  },
}

/** What the module exports. */
interface Exports {
  memory: WebAssembly.Memory
  findLargest(end: number, blockBytes: number): void
  quantise8(end: number): void
  quantise4(end: number): void
  scale8(end: number): void
  scale4(end: number): void
  addWeighted(end: number, weight: number): void
  divide(end: number, by: number): void
}

/**
 * Undefined where WebAssembly, or its vectors, are missing or forbidden. The module has 2 KB: up to 4 KiB every browser
 * compiles at once, also on a page's main thread.
 */
export function simdArithmetic(): BlockArithmetic | undefined {
  const source = moduleOf(functions, 1)
  if (typeof WebAssembly === 'undefined' || !WebAssembly.validate(source)) return undefined
  const instance = instanceOf(source)
  if (instance === undefined) return undefined
  const { memory, findLargest, quantise8, quantise4, scale8, scale4, addWeighted, divide } = instance
  const { buffer } = memory
  return {
    values: new Float32Array(buffer, valuesAt, stripElements),
    bits: new Uint32Array(buffer, valuesAt, stripElements),
    sums: new Float32Array(buffer, sumsAt, stripElements),
    quanta: new Int8Array(buffer, quantaAt, stripElements),
    factors: new Float64Array(buffer, factorsAt, stripElements / blockElementsMin),
    largest: new Float32Array(buffer, largestAt, stripElements / blockElementsMin),
    findLargest: (count, blockElements) => findLargest(4 * count, 4 * blockElements),
    quantise8: (count) => quantise8(4 * count),
    quantise4: (count) => quantise4(4 * count),
    scale8: (count) => scale8(4 * count),
    scale4: (count) => scale4(4 * count),
    addWeighted: (count, weight) => addWeighted(4 * count, weight),
    divide: (count, by) => divide(4 * count, by),
  }
}

/** A page's security policy may forbid to compile what the engine could run. */
function instanceOf(source: Uint8Array<ArrayBuffer>): Exports | undefined {
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(source)).exports as unknown as Exports
  } catch (error) {
    if (error instanceof WebAssembly.CompileError || error instanceof EvalError) return undefined
    throw error
  }
}
