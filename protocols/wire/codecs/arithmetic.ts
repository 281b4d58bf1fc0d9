/** The codecs' loops as this engine runs them fastest: one memory, which whoever calls uses up before it returns. */

import type { BlockArithmetic } from './block-arithmetic.ts'
import { plainArithmetic } from './plain-arithmetic.ts'
import { simdArithmetic } from './simd-arithmetic.ts'

export const arithmetic: BlockArithmetic = simdArithmetic() ?? plainArithmetic()
