/**
 * Gradients of activation functions. `dy` is the gradient of y. At a kink the value is PyTorch's (derivatives.yaml).
 */

import { elementwise } from '../convolution/blocked-layout.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { type Attributes, float, floatOf, textOf } from '../onnx/graph.ts'
import { constant, gradient, reduced, spelledForward, type Use, unary } from './rule.ts'

export const activations = {
  /** dx = dy where y > 0; a product with the mask is a quarter faster on CPUs than a selection */
  Relu: unary(({ f }, _, dy, y) => elementwise(f, [dy, y], (dy, y) => f.mul(dy, isPositive(f, y)))),
  /** dx = dy where x > 0, else α·dy */
  LeakyRelu: unary(({ f, attributes }, x, dy) =>
    f.where(f.greater(x, 0), dy, f.mul(dy, floatOf(attributes, 'alpha', 0.01))),
  ),
  /** dx = dy where x > 0, else slope·dy ; dslope = s(dy·x where x <= 0) */
  PRelu: gradient(
    reduced(({ f, dy }, x, slope) => f.where(f.greater(x, 0), dy, f.mul(dy, slope))),
    reduced(({ f, dy }, x) => f.where(f.greater(x, 0), 0, f.mul(dy, x))),
  ),
  /** y = α(e^x - 1) below 0: dx = dy·(y + α) there */
  Elu: unary(({ f, attributes }, x, dy, y) =>
    f.where(f.greater(x, 0), dy, f.mul(dy, f.add(y, floatOf(attributes, 'alpha', 1)))),
  ),
  /** y = γ·x above 0, γ·α(e^x - 1) below: dx = γ·dy, or dy·(y + γα) */
  Selu: spelledForward(
    unary(({ f, attributes }, x, dy, y) => {
      const { gamma, scaled } = seluNumbers(attributes)
      return f.mul(dy, f.where(f.greater(x, 0), gamma, f.add(y, scaled)))
    }),
    ({ f, x, attributes }) => {
      const { gamma, scaled } = seluNumbers(attributes)
      const below = f.mul(f.sub(f.exp(f.min(x[0]!, 0)), 1), scaled)
      return f.where(f.greater(x[0]!, 0), f.mul(x[0]!, gamma), below)
    },
  ),
  /** y = max(0, x) + min(0, α(e^(x/α) - 1)): dx = dy·e^(x/α) below 0 */
  Celu: spelledForward(
    unary(({ f, attributes }, x, dy, y) =>
      f.mul(dy, f.where(f.greater(x, 0), 1, f.add(f.div(y, floatOf(attributes, 'alpha', 1)), 1))),
    ),
    ({ f, x, attributes }) => {
      const alpha = floatOf(attributes, 'alpha', 1)
      const below = f.mul(f.sub(f.exp(f.min(f.div(x[0]!, alpha), 0)), 1), alpha)
      return f.where(f.greater(x[0]!, 0), x[0]!, below)
    },
  ),
  /** dx = dy·σ(x) */
  Softplus: unary(({ f }, x, dy) => f.mul(dy, f.sigmoid(x))),
  /** y = x/(1 + |x|): dx = dy·(1 - |y|)² */
  Softsign: spelledForward(
    unary(({ f }, _, dy, y) => {
      const rest = f.sub(1, f.unary('Abs', y))
      return f.mul(dy, f.mul(rest, rest))
    }),
    ({ f, x }) => f.div(x[0]!, f.add(f.unary('Abs', x[0]!), 1)),
  ),
  /** y = clip(αx + β, 0, 1): dx = α·dy inside */
  HardSigmoid: unary(({ f, attributes }, _, dy, y) =>
    inside(f, y, 0, 1, f.mul(dy, floatOf(attributes, 'alpha', 0.2))),
  ),
  /** y = x·clip(x/6 + ½, 0, 1): dx = dy above 3, 0 below -3, dy·(x/3 + ½) between */
  HardSwish: unary(({ f }, x, dy) =>
    f.where(f.greaterOrEqual(x, 3), dy, f.where(f.greater(x, -3), f.mul(dy, f.add(f.mul(x, 1 / 3), 0.5)), 0)),
  ),
  /** y = x·tanh(softplus x), t = tanh(softplus x): dx = dy·(t + x·σ(x)·(1 - t²)) */
  Mish: unary(({ f }, x, dy) => {
    const t = f.tanh(f.unary('Softplus', x))
    return f.mul(dy, f.add(t, f.mul(f.mul(x, f.sigmoid(x)), f.sub(1, f.mul(t, t)))))
  }),
  /** dx = dy·y'(x), which the forward pass may have as a second output (engine/program/slopes-ahead.ts) */
  Gelu: spelledForward(
    unary(({ f, attributes, y: [, slope] }, x, dy) => f.mul(dy, slope ?? geluSlope(f, x, attributes))),
    gelu,
  ),
  /** y = x·s, s = σ(αx): dx = dy·(s + α·y·(1 - s)) */
  Swish: spelledForward(
    unary(({ f, attributes }, x, dy, y) => {
      const alpha = floatOf(attributes, 'alpha', 1)
      const s = f.sigmoid(f.mul(x, alpha))
      return f.mul(dy, f.add(s, f.mul(f.mul(y, alpha), f.sub(1, s))))
    }),
    ({ f, x, attributes }) => f.mul(x[0]!, f.sigmoid(f.mul(x[0]!, floatOf(attributes, 'alpha', 1)))),
  ),
  /** dx = dy inside the bounds ; dlow = s(dy where x <= low) ; dhigh = s(dy where x >= high) ; torch.clamp and relu6 */
  Clip: gradient(
    ({ f, x, dy, has }) => {
      let result = dy
      if (has(1)) result = f.where(f.greater(x[0]!, x[1]!), result, 0)
      if (has(2)) result = f.where(f.greater(x[2]!, x[0]!), result, 0)
      return result
    },
    reduced(({ f, dy }, value, low) => f.where(f.greaterOrEqual(low, value), dy, 0)),
    ({ f, x, dy }) => f.sumTo(f.where(f.greaterOrEqual(x[0]!, x[2]!), dy, 0), x[2]!.shape),
  ),
  /** dx = dy where x > α */
  ThresholdedRelu: unary(({ f, attributes }, x, dy) =>
    f.where(f.greater(x, floatOf(attributes, 'alpha', 1)), dy, 0),
  ),
  /** dx = dy where |x| > λ */
  Shrink: spelledForward(
    unary(({ f, attributes }, x, dy) =>
      f.where(f.greater(f.unary('Abs', x), floatOf(attributes, 'lambd', 0.5)), dy, 0),
    ),
    ({ f, x, attributes }) => {
      const [lambd, bias] = [floatOf(attributes, 'lambd', 0.5), floatOf(attributes, 'bias', 0)]
      const above = f.where(f.greater(x[0]!, lambd), f.sub(x[0]!, bias), 0)
      return f.where(f.greater(-lambd, x[0]!), f.add(x[0]!, bias), above)
    },
  ),
  Hardmax: constant('it is flat between jumps'),
} as const

/** 1 where `y` > 0, else 0; `y` is never negative. WebGPU may compute it in float16. */
function isPositive(f: Formulas, y: Value): Value {
  return f.builder.target.device === 'gpu' ? f.cast(f.greater(y, 0), 'float32') : f.steep(y, 0)
}

function inside(f: Formulas, x: Value, low: number, high: number, value: Value): Value {
  return f.where(f.greater(x, low), f.where(f.greater(high, x), value, 0), 0)
}

function seluNumbers(attributes: Attributes) {
  const gamma = floatOf(attributes, 'gamma', 1.0507009873554805)
  return { gamma, scaled: gamma * floatOf(attributes, 'alpha', 1.6732632423543772) }
}

/** exact: x·Φ(x) ; by tanh: ½x(1 + tanh u), u as in {@link geluTanh} */
function gelu({ f, x, attributes }: Use): Value {
  if (textOf(attributes, 'approximate', 'none') === 'none') return f.mul(x[0]!, normalDistribution(f, x[0]!))
  return f.mul(f.mul(x[0]!, 0.5), f.add(f.tanh(tanhArgument(f, x[0]!)), 1))
}

/** y'(x), exact: Φ(x) + x·φ(x), Φ(x) = ½(1 + erf(x/√2)) ; tanh form: below */
export function geluSlope(f: Formulas, x: Value, attributes: Attributes): Value {
  if (textOf(attributes, 'approximate', 'none') === 'tanh') return geluTanhSlope(f, x)
  const scaled = f.mul(x, Math.SQRT1_2)
  // x·φ(x) = s·e^(-s² - ½ log π), s = x/√2, which the forward pass has too: x itself need not be kept
  const exponent = f.sub(-0.5 * Math.log(Math.PI), f.mul(scaled, scaled))
  return f.add(normalDistribution(f, x), f.mul(scaled, f.exp(exponent)))
}

/** Φ(x) = ½(1 + erf(x/√2)), its last product and sum in one operator: it is between 0 and 1 already. */
function normalDistribution(f: Formulas, x: Value): Value {
  const erf = f.erf(f.mul(x, Math.SQRT1_2))
  return f.unary('HardSigmoid', erf, { alpha: float(0.5), beta: float(0.5) })
}

/** √(2/π) */
const c = Math.sqrt(2 / Math.PI)

/** u = c(x + 0.044715x³) */
function tanhArgument(f: Formulas, x: Value): Value {
  return f.mul(x, f.add(f.mul(f.mul(x, x), c * 0.044715), c))
}

/**
 * y = ½x(1 + t), t = tanh(u), u = c(x + 0.044715x³):
 * y' = ½((1 + t) + x(1 - t²)·c(1 + 3·0.044715x²))
 */
function geluTanhSlope(f: Formulas, x: Value): Value {
  const square = f.mul(x, x)
  const t = f.tanh(tanhArgument(f, x))
  const slope = f.add(f.mul(square, 3 * c * 0.044715), c)
  const inner = f.mul(f.mul(x, f.sub(1, f.mul(t, t))), slope)
  return f.mul(f.add(f.add(t, 1), inner), 0.5)
}
