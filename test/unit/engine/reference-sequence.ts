/**
 * Attention, rotary embedding and recurrent cells of the reference interpreter: loops over samples, heads and steps.
 */
import { at, atBroadcast, build, type Nd, type Plain } from './reference-array.ts'
import type { Operator } from './reference-elementwise.ts'

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const range = (length: number) => Array.from({ length }, (_, index) => index)

/** `[batch, tokens, heads·size]` read as `[batch, heads, tokens, size]`. */
function byHeads(x: Nd, heads: number): Nd {
  if (x.shape.length === 4) return x
  const [batch, tokens, width] = x.shape as [number, number, number]
  const size = width / heads
  return build([batch, heads, tokens, size], ([n, h, t, i]) => at(x, [n!, t!, h! * size + i!]))
}

function appended(past: Nd | undefined, x: Nd): Nd {
  if (past === undefined) return x
  const before = past.shape[2]!
  const shape = x.shape.with(2, before + x.shape[2]!)
  return build(shape, (index) =>
    index[2]! < before ? at(past, index) : at(x, index.with(2, index[2]! - before)),
  )
}

const attention: Operator = ([q0, k0, v0, mask, pastKey, pastValue], a) => {
  const q = byHeads(q0!, Number(a.q_num_heads))
  const k = appended(pastKey, byHeads(k0!, Number(a.kv_num_heads)))
  const v = appended(pastValue, byHeads(v0!, Number(a.kv_num_heads)))
  const [batch, heads, queries, size] = q.shape as [number, number, number, number]
  const group = heads / k.shape[1]!
  const past = pastKey?.shape[2] ?? 0
  const scale = Number(a.scale ?? 1 / Math.sqrt(size))
  const weightsAt = (n: number, h: number, t: number) => {
    const scores = range(k.shape[2]!).map((s) => {
      const head = Math.floor(h / group)
      let score = scale * sum(range(size).map((i) => at(q, [n, h, t, i]) * at(k, [n, head, s, i])))
      if (a.softcap !== undefined) score = Number(a.softcap) * Math.tanh(score / Number(a.softcap))
      if (a.is_causal === 1 && s - past > t) return Number.NEGATIVE_INFINITY
      if (mask === undefined) return score
      const bias = atBroadcast(mask, [n, h, t, s])
      if (a.boolean === 1) return bias === 0 ? Number.NEGATIVE_INFINITY : score
      return score + bias
    })
    const powers = scores.map(Math.exp)
    return powers.map((value) => (sum(powers) === 0 ? 0 : value / sum(powers)))
  }
  const y = build([batch, heads, queries, v.shape[3]!], ([n, h, t, i]) => {
    const weights = weightsAt(n!, h!, t!)
    return sum(weights.map((weight, s) => weight * at(v, [n!, Math.floor(h! / group), s, i!])))
  })
  if (q0!.shape.length === 4) return y
  const width = v.shape[3]!
  return build([batch, queries, heads * width], ([n, t, i]) =>
    at(y, [n!, Math.floor(i! / width), t!, i! % width]),
  )
}

const rotary: Operator = ([x, cos, sin, ids], a) => {
  const heads = byHeads(x!, Number(a.num_heads))
  const size = heads.shape[3]!
  const turned = Number(a.rotary_embedding_dim ?? 0) || size
  const half = turned / 2
  const y = build(heads.shape, ([n, h, t, i]) => {
    if (i! >= turned) return at(heads, [n!, h!, t!, i!])
    const isSecond = a.interleaved === 1 ? i! % 2 === 1 : i! >= half
    const pair = a.interleaved === 1 ? Math.floor(i! / 2) : i! % half
    const partner = a.interleaved === 1 ? i! + (isSecond ? -1 : 1) : i! + (isSecond ? -half : half)
    const angle = (cache: Nd) =>
      ids === undefined ? at(cache, [n!, t!, pair]) : at(cache, [at(ids, [n!, t!]), pair])
    const [own, other] = [at(heads, [n!, h!, t!, i!]), at(heads, [n!, h!, t!, partner])]
    return own * angle(cos!) + (isSecond ? 1 : -1) * other * angle(sin!)
  })
  if (x!.shape.length === 4) return y
  return build(x!.shape, ([n, t, i]) => at(y, [n!, Math.floor(i! / size), t!, i! % size]))
}

/**
 * One step of one sample: the next state from Σ W·x + Wb + R·h + Rb of each gate, given as functions of a gate and a
 * unit.
 */
type Step = (parts: {
  input: (gate: number, unit: number) => number
  state: (gate: number, unit: number, h: readonly number[]) => number
  /** A peephole's weight, 0 without. */
  peephole: (gate: number, unit: number) => number
  h: readonly number[]
  c: readonly number[]
  attributes: Plain
}) => { h: number[]; c: number[] }

const rnn: Step = ({ input, state, h, c, attributes }) => {
  const isRelu = (attributes.activations as readonly string[] | undefined)?.[0] === 'Relu'
  const activate = isRelu ? (x: number) => Math.max(0, x) : Math.tanh
  return { h: h.map((_, j) => activate(input(0, j) + state(0, j, h))), c: [...c] }
}

const lstm: Step = ({ input, state, peephole, h, c }) => {
  const units = range(h.length)
  const gate = (g: number, j: number, p = 0) => input(g, j) + state(g, j, h) + p
  const next = units.map((j) => {
    const i = sigmoid(gate(0, j, peephole(0, j) * c[j]!))
    const f = sigmoid(gate(2, j, peephole(2, j) * c[j]!))
    return f * c[j]! + i * Math.tanh(gate(3, j))
  })
  return {
    h: units.map((j) => sigmoid(gate(1, j, peephole(1, j) * next[j]!)) * Math.tanh(next[j]!)),
    c: next,
  }
}

const gru: Step = ({ input, state, h, c, attributes }) => {
  const units = range(h.length)
  const z = units.map((j) => sigmoid(input(0, j) + state(0, j, h)))
  const r = units.map((j) => sigmoid(input(1, j) + state(1, j, h)))
  const damped = h.map((value, j) => r[j]! * value)
  const n = units.map((j) => {
    const inner = attributes.linear_before_reset === 1 ? r[j]! * state(2, j, h) : state(2, j, damped)
    return Math.tanh(input(2, j) + inner)
  })
  return { h: units.map((j) => (1 - z[j]!) * n[j]! + z[j]! * h[j]!), c: [...c] }
}

/** Y `[steps, directions, batch, hidden]`, or with the pseudo-attribute `read` 1 or 2 the last h or c. */
const recurrent =
  (gates: number, step: Step): Operator =>
  ([x0, w, r, b, , h0, c0, p], a) => {
    const isBatchFirst = a.layout === 1
    const turned = (v: Nd) =>
      build([v.shape[1]!, v.shape[0]!, v.shape[2]!], ([i, j, k]) => at(v, [j!, i!, k!]))
    const x = isBatchFirst ? turned(x0!) : x0!
    const [steps, batch, features] = x.shape as [number, number, number]
    const [directions, , size] = r!.shape as [number, number, number]
    const initial = (v: Nd | undefined, d: number, n: number) =>
      range(size).map((j) => (v === undefined ? 0 : isBatchFirst ? at(v, [n, d, j]) : at(v, [d, n, j])))
    const y = build([steps, directions, batch, size], () => 0)
    const last = {
      h: build([directions, batch, size], () => 0),
      c: build([directions, batch, size], () => 0),
    }
    for (const d of range(directions)) {
      for (const n of range(batch)) {
        let now = { h: initial(h0, d, n), c: initial(c0, d, n) }
        const isReversed = a.direction === 'reverse' || d === 1
        for (const time of isReversed ? range(steps).reverse() : range(steps)) {
          now = step({
            input: (g, j) =>
              sum(range(features).map((i) => at(w!, [d, g * size + j, i]) * at(x, [time, n, i]))) +
              (b === undefined ? 0 : at(b, [d, g * size + j])),
            state: (g, j, h) =>
              sum(h.map((value, i) => at(r!, [d, g * size + j, i]) * value)) +
              (b === undefined ? 0 : at(b, [d, (gates + g) * size + j])),
            peephole: (g, j) => (p === undefined ? 0 : at(p, [d, g * size + j])),
            ...now,
            attributes: a,
          })
          y.data.set(now.h, ((time * directions + d) * batch + n) * size)
        }
        last.h.data.set(now.h, (d * batch + n) * size)
        last.c.data.set(now.c, (d * batch + n) * size)
      }
    }
    if (a.read === 1) return isBatchFirst ? turned(last.h) : last.h
    if (a.read === 2) return isBatchFirst ? turned(last.c) : last.c
    if (!isBatchFirst) return y
    return build([batch, steps, directions, size], ([n, t, d, j]) => at(y, [t!, d!, n!, j!]))
  }

export const sequences: Readonly<Record<string, Operator>> = {
  Attention: attention,
  RotaryEmbedding: rotary,
  RNN: recurrent(1, rnn),
  LSTM: recurrent(4, lstm),
  GRU: recurrent(3, gru),
}
