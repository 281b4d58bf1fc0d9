/**
 * Gradients of element-wise operators. `dy` is the gradient of y; s(·) sums over broadcast axes (`sumTo`).
 * Formulas are calculus; where an operator has a kink, the value at the kink is PyTorch's (derivatives.yaml).
 */

import type { Formulas } from '../onnx/formulas.ts'
import { floatOf, textOf } from '../onnx/graph.ts'
import type { Value } from '../onnx/graph-builder.ts'
import { numbersOf } from '../onnx/types.ts'
import { type Application, constant, type Formula, gradient, variadic } from './rule.ts'

/** A rule for y = g(x): `formula` gives dx. */
const unary = (formula: (application: Application, x: Value, dy: Value, y: Value) => Value) =>
  gradient((application) => formula(application, application.x[0]!, application.dy, application.y[0]!))

/** `formula`, summed over the axes along which input `index` was broadcast. */
const reduced =
  (formula: (application: Application, a: Value, b: Value) => Value): Formula =>
  (application, index) =>
    application.f.sumTo(
      formula(application, application.x[0]!, application.x[1]!),
      application.x[index]!.shape,
    )

export const elementwise = {
  /** da = s(dy) ; db = s(dy) */
  Add: gradient(
    reduced(({ dy }) => dy),
    reduced(({ dy }) => dy),
  ),
  /** da = s(dy) ; db = -s(dy) */
  Sub: gradient(
    reduced(({ dy }) => dy),
    ({ f, dy, x }) => f.neg(f.sumTo(dy, x[1]!.shape)),
  ),
  /** da = s(dy·b) ; db = s(dy·a) */
  Mul: gradient(
    reduced(({ f, dy }, _, b) => f.mul(dy, b)),
    reduced(({ f, dy }, a) => f.mul(dy, a)),
  ),
  /** da = s(dy/b) ; db = -s(dy·y/b) */
  Div: gradient(
    reduced(({ f, dy }, _, b) => f.div(dy, b)),
    ({ f, dy, x, y }) => f.neg(f.sumTo(f.mul(dy, f.div(y[0]!, x[1]!)), x[1]!.shape)),
  ),
  /** da = s(dy·b·a^(b-1)) ; db = s(dy·y·ln a), 0 where a <= 0 as torch has it for a = 0 */
  Pow: gradient(reduced(powBase), reduced(powExponent)),
  /** dx_i = s(dy where x_i = y), shared by all that reach it: torch halves for two */
  Max: variadic(extremeGradient),
  Min: variadic(extremeGradient),
  /** dx_i = s(dy) */
  Sum: variadic(({ f, dy, x }, index) => f.sumTo(dy, x[index]!.shape)),
  /** dx_i = s(dy)/n of n inputs */
  Mean: variadic(({ f, dy, x }, index) => f.sumTo(f.div(dy, x.length), x[index]!.shape)),
  /** da = s(dy where c) ; db = s(dy where not c) */
  Where: gradient(
    null,
    ({ f, dy, x }) => f.sumTo(f.where(x[0]!, dy, 0), x[1]!.shape),
    ({ f, dy, x }) => f.sumTo(f.where(x[0]!, 0, dy), x[2]!.shape),
  ),

  Neg: unary(({ f }, _, dy) => f.neg(dy)),
  Identity: unary((_, __, dy) => dy),
  /** dx = dy, in the input's type */
  Cast: unary(({ f }, x, dy) => f.cast(dy, x.dtype)),
  /** dx = dy·sign(x) */
  Abs: unary(({ f }, x, dy) => f.where(f.greater(x, 0), dy, f.where(f.greater(0, x), f.neg(dy), 0))),
  /** dx = dy·y */
  Exp: unary(({ f }, _, dy, y) => f.mul(dy, y)),
  /** dx = dy/x */
  Log: unary(({ f }, x, dy) => f.div(dy, x)),
  /** dx = dy/(2y) */
  Sqrt: unary(({ f }, _, dy, y) => f.div(f.mul(dy, 0.5), y)),
  /** dx = -dy·y² */
  Reciprocal: unary(({ f }, _, dy, y) => f.neg(f.mul(dy, f.mul(y, y)))),
  /** dx = dy·(1 - y²) */
  Tanh: unary(({ f }, _, dy, y) => f.mul(dy, f.sub(1, f.mul(y, y)))),
  /** dx = dy·y·(1 - y) */
  Sigmoid: unary(({ f }, _, dy, y) => f.mul(dy, f.mul(y, f.sub(1, y)))),
  /** dx = dy·(2/√π)·e^(-x²) */
  Erf: unary(({ f }, x, dy) => f.mul(f.mul(dy, 2 / Math.sqrt(Math.PI)), f.exp(f.neg(f.mul(x, x))))),
  Sin: unary(({ f }, x, dy) => f.mul(dy, f.cos(x))),
  Cos: unary(({ f }, x, dy) => f.neg(f.mul(dy, f.sin(x)))),

  /** dx = dy where y > 0; a product with the mask is a quarter faster on CPUs than a selection */
  Relu: unary(({ f }, _, dy, y) => f.mul(dy, f.cast(f.greater(y, 0), 'float32'))),
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
  Selu: unary(({ f, attributes }, x, dy, y) => {
    const gamma = floatOf(attributes, 'gamma', 1.0507009873554805)
    const alpha = floatOf(attributes, 'alpha', 1.6732632423543772)
    return f.mul(dy, f.where(f.greater(x, 0), gamma, f.add(y, gamma * alpha)))
  }),
  /** y = max(0, x) + min(0, α(e^(x/α) - 1)): dx = dy·e^(x/α) below 0 */
  Celu: unary(({ f, attributes }, x, dy, y) =>
    f.mul(dy, f.where(f.greater(x, 0), 1, f.add(f.div(y, floatOf(attributes, 'alpha', 1)), 1))),
  ),
  /** dx = dy·σ(x) */
  Softplus: unary(({ f }, x, dy) => f.mul(dy, f.sigmoid(x))),
  /** y = x/(1 + |x|): dx = dy·(1 - |y|)² */
  Softsign: unary(({ f }, _, dy, y) => {
    const rest = f.sub(1, f.unary('Abs', y))
    return f.mul(dy, f.mul(rest, rest))
  }),
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
  /** exact: dx = dy·(Φ(x) + x·φ(x)), Φ(x) = ½(1 + erf(x/√2)) ; tanh form: below */
  Gelu: unary(({ f, attributes }, x, dy) =>
    textOf(attributes, 'approximate', 'none') === 'tanh' ? geluTanh(f, x, dy) : geluErf(f, x, dy),
  ),
  /** y = x·s, s = σ(αx): dx = dy·(s + α·y·(1 - s)) */
  Swish: unary(({ f, attributes }, x, dy, y) => {
    const alpha = floatOf(attributes, 'alpha', 1)
    const s = f.sigmoid(f.mul(x, alpha))
    return f.mul(dy, f.add(s, f.mul(f.mul(y, alpha), f.sub(1, s))))
  }),
  /** dx = dy inside the bounds, which are constants */
  Clip: gradient(({ f, x, dy, has }) => {
    let result = dy
    if (has(1)) result = f.where(f.greaterOrEqual(x[0]!, x[1]!), result, 0)
    if (has(2)) result = f.where(f.greaterOrEqual(x[2]!, x[0]!), result, 0)
    return result
  }),

  Floor: constant('it is flat between jumps'),
  Ceil: constant('it is flat between jumps'),
  Round: constant('it is flat between jumps'),
  Sign: constant('it is flat between jumps'),
} as const

function powBase({ f, dy }: Application, base: Value, exponent: Value): Value {
  const known = f.constantOf(exponent)
  const power = known !== null && known.data.length === 1 ? numbersOf(known)[0]! : null
  if (power === 2) return f.mul(f.mul(dy, 2), base)
  const shifted = power === null ? f.sub(exponent, 1) : power - 1
  return f.mul(dy, f.mul(power ?? exponent, f.pow(base, shifted)))
}

function powExponent({ f, dy, y }: Application, base: Value): Value {
  const logarithm = f.log(f.where(f.greater(base, 0), base, 1))
  return f.mul(dy, f.mul(y[0]!, logarithm))
}

function extremeGradient({ f, dy, x, y }: Application, index: number): Value {
  const reaches = (value: Value) => f.cast(f.equal(value, y[0]!), 'float32')
  const count = x.map(reaches).reduce((sum, mask) => f.add(sum, mask))
  return f.sumTo(f.mul(f.div(dy, count), reaches(x[index]!)), x[index]!.shape)
}

function inside(f: Formulas, x: Value, low: number, high: number, value: Value): Value {
  return f.where(f.greater(x, low), f.where(f.greater(high, x), value, 0), 0)
}

function geluErf(f: Formulas, x: Value, dy: Value): Value {
  const scaled = f.mul(x, Math.SQRT1_2)
  const density = f.mul(f.mul(x, f.exp(f.neg(f.mul(scaled, scaled)))), 1 / Math.sqrt(2 * Math.PI))
  return f.mul(dy, f.add(normalDistribution(f, x), density))
}

/** Φ(x) = ½(1 + erf(x/√2)) */
export function normalDistribution(f: Formulas, x: Value): Value {
  return f.add(f.mul(f.erf(f.mul(x, Math.SQRT1_2)), 0.5), 0.5)
}

/**
 * y = ½x(1 + t), t = tanh(u), u = c(x + 0.044715x³), c = √(2/π):
 * dx = dy·(½(1 + t) + ½x(1 - t²)·c(1 + 3·0.044715x²))
 */
function geluTanh(f: Formulas, x: Value, dy: Value): Value {
  const c = Math.sqrt(2 / Math.PI)
  const square = f.mul(x, x)
  const t = f.tanh(f.mul(x, f.add(f.mul(square, c * 0.044715), c)))
  const slope = f.add(f.mul(square, 3 * c * 0.044715), c)
  const inner = f.mul(f.mul(x, f.sub(1, f.mul(t, t))), slope)
  return f.mul(f.mul(dy, 0.5), f.add(f.add(t, 1), inner))
}
