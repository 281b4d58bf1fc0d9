/**
 * Attention and rotary position embedding, spelled out (ONNX, operator sets 23 and 24).
 *
 * Y = softmax(Q·Kᵀ·scale + bias)·V for each head (Vaswani et al., "Attention is all you need", 2017, section 3.2.1). A
 * fused kernel saves the score matrix `[batch, heads, queries, keys]`; the gradient needs it anyway.
 */

import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { floatOf, int, intOf } from '../onnx/graph.ts'
import { sizeOf, type TensorType } from '../onnx/types.ts'
import { type Rule, spelled, type Use, unsupportedUse } from './rule.ts'

/**
 * The score of a key that must not be seen, and the least that any has: float32's lowest number. e^x is 0 beside any
 * other score, and a row that has nothing else does not become NaN as it would with an infinite one.
 */
const unseen = -3.4028234663852886e38

/** Below every score that a key can have that is seen, above {@link unseen} plus rounding. */
const seenMin = -3.4e38

/**
 * Those of set 23 and 24. What is not among them (a window, say) changes the result in a way that is not known here.
 */
const known = new Set([
  ...['is_causal', 'kv_num_heads', 'q_num_heads', 'scale', 'softcap'],
  ...['qk_matmul_output_mode', 'softmax_precision'], // of an output that is refused, and of a type: all is float32 here
])

export const attention: { readonly Attention: Rule; readonly RotaryEmbedding: Rule } = {
  Attention: { kind: 'spelled', spelling: attend, still: [6] },
  /** Pairs (a, b) of each head's first dimensions turn by an angle: (a·cos - b·sin, b·cos + a·sin) */
  RotaryEmbedding: spelled(rotate, [3]),
}

function attend(use: Use, types: readonly (TensorType | null)[]): (Value | null)[] {
  const { f, x, has, attributes } = use
  if (has(6)) throw unsupportedUse(use, 'it reads a padded cache', 'Export the model without a cache.')
  if (types[3]) throw unsupportedUse(use, 'it shows its scores', 'Export without attention weights.')
  const other = Object.keys(attributes).find((name) => !known.has(name))
  if (other !== undefined)
    throw unsupportedUse(use, `its attribute '${other}' is not known`, 'Export the mask as an input of it.')
  const q = byHeads(f, x[0]!, intOf(attributes, 'q_num_heads', 0))
  const k = withPast(use, byHeads(f, x[1]!, intOf(attributes, 'kv_num_heads', 0)), 4)
  const v = withPast(use, byHeads(f, x[2]!, intOf(attributes, 'kv_num_heads', 0)), 5)
  const groups = q.shape[1]! / k.shape[1]!
  const scale = floatOf(attributes, 'scale', 1 / Math.sqrt(q.shape[3]!))
  const keys = repeatHeads(f, k, groups)
  const scores = softcapped(use, f.matmul(f.mul(q, scale), f.transposeMatrix(keys)))
  const past = has(4) ? x[4]!.shape[2]! : 0
  const weights = shares(use, masked(use, scores, past))
  const y = f.matmul(weights, repeatHeads(f, v, groups))
  const joined = x[0]!.shape.length === 3 ? f.reshape(f.transpose(y, [0, 2, 1, 3]), types[0]!.shape) : y
  return [joined, k, v, null].slice(0, types.length)
}

/** `[batch, tokens, heads·size]` as `[batch, heads, tokens, size]`; four dimensions stay as they are. */
function byHeads(f: Formulas, x: Value, heads: number): Value {
  if (x.shape.length === 4) return x
  const [batch, tokens, width] = x.shape as [number, number, number]
  return f.transpose(f.reshape(x, [batch, tokens, heads, width / heads]), [0, 2, 1, 3])
}

function withPast({ f, x, has }: Use, present: Value, past: number): Value {
  return has(past) ? f.concat([x[past]!, present], 2) : present
}

/** Grouped queries: each head of keys or values serves `groups` neighbouring heads of queries. */
function repeatHeads(f: Formulas, x: Value, groups: number): Value {
  if (groups === 1) return x
  const [batch, heads, tokens, size] = x.shape as [number, number, number, number]
  const repeated = f.expand(f.reshape(x, [batch, heads, 1, tokens, size]), [
    batch,
    heads,
    groups,
    tokens,
    size,
  ])
  return f.reshape(repeated, [batch, heads * groups, tokens, size])
}

/** cap·tanh(scores/cap) */
function softcapped({ f, attributes }: Use, scores: Value): Value {
  const cap = floatOf(attributes, 'softcap', 0)
  return cap === 0 ? scores : f.mul(f.tanh(f.div(scores, cap)), cap)
}

/** Scores, at least {@link unseen}, of which masks have set those to that which must not be seen. */
function masked({ f, x, has, attributes }: Use, scores: Value, past: number): Value {
  const [queries, keys] = scores.shape.slice(2) as [number, number]
  let result = scores
  if (has(3)) {
    const mask = x[3]!
    // an exporter's mask may hold minus infinity, which a softmax over nothing else would turn into NaN
    result = mask.dtype === 'bool' ? f.where(mask, result, unseen) : f.max(f.add(result, mask), unseen)
  }
  if (intOf(attributes, 'is_causal', 0) === 1) {
    const isSeen = Float32Array.from({ length: queries * keys }, (_, index) =>
      Number((index % keys) - past <= Math.floor(index / keys)),
    )
    result = f.where(f.greater(f.tensor(isSeen, [queries, keys]), 0), result, unseen)
  }
  return result
}

/** The softmax of each row of scores; zeros for a query that sees no key, as onnxruntime and PyTorch have it. */
function shares({ f, has }: Use, scores: Value): Value {
  const weights = f.softmax(scores, 3)
  if (!has(3)) return weights // the causal mask alone leaves each query its own key
  return f.where(f.greater(f.reduceMax(scores, [3], true), seenMin), weights, 0)
}

function rotate({ f, x, has, attributes }: Use): Value {
  const isFlat = x[0]!.shape.length === 3
  const input = isFlat ? byHeads(f, x[0]!, intOf(attributes, 'num_heads', 1)) : x[0]!
  const [batch, heads, tokens, size] = input.shape as [number, number, number, number]
  const turned = intOf(attributes, 'rotary_embedding_dim', 0) || size
  const half = turned / 2
  const angles = (cache: Value) => {
    const rows = has(3)
      ? f.builder.emit(
          'Gather',
          [cache, x[3]!],
          { axis: int(0) },
          { dtype: cache.dtype, shape: [...x[3]!.shape, half] },
        )
      : cache
    return f.reshape(rows, [sizeOf(rows.shape) / (tokens * half), 1, tokens, half])
  }
  const [cos, sin] = [angles(x[1]!), angles(x[2]!)]
  const isInterleaved = intOf(attributes, 'interleaved', 0) === 1
  const first = f.slice(input, [{ axis: 3, start: 0, count: turned }])
  const parted = isInterleaved
    ? f.transpose(f.reshape(first, [batch, heads, tokens, half, 2]), [0, 1, 2, 4, 3])
    : f.reshape(first, [batch, heads, tokens, 2, half])
  const part = (start: number) =>
    f.reshape(f.slice(parted, [{ axis: 3, start, count: 1 }]), [batch, heads, tokens, half])
  const [a, b] = [part(0), part(1)]
  const pairs = [f.sub(f.mul(a, cos), f.mul(b, sin)), f.add(f.mul(b, cos), f.mul(a, sin))]
  const joined = f.concat(
    pairs.map((pair) => f.reshape(pair, [batch, heads, tokens, 1, half])),
    3,
  )
  const order = isInterleaved ? f.transpose(joined, [0, 1, 2, 4, 3]) : joined
  const result = f.concat(
    [f.reshape(order, [batch, heads, tokens, turned]), ...rest({ f, input, turned, size })],
    3,
  )
  return isFlat ? f.reshape(f.transpose(result, [0, 2, 1, 3]), x[0]!.shape) : result
}

/** What is not turned: the dimensions from `turned` on. */
function rest({
  f,
  input,
  turned,
  size,
}: {
  f: Formulas
  input: Value
  turned: number
  size: number
}): Value[] {
  return turned === size ? [] : [f.slice(input, [{ axis: 3, start: turned, count: size - turned }])]
}
