/**
 * Gradients of element-wise arithmetic. `dy` is the gradient of y; s(·) sums over broadcast axes (`sumTo`).
 * Formulas are calculus; where an operator has a kink, the value at the kink is PyTorch's (derivatives.yaml).
 */

import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { numbersOf, sizeOf } from '../onnx/types.ts'
import {
  type Application,
  constant,
  gradient,
  reduced,
  spelledForward,
  spelledOnGpu,
  type Use,
  unary,
  variadic,
} from './rule.ts'
import { isGradientOfSoftmax } from './softmax.ts'

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
  /** da = s(dy·b·a^(b-1)), 0 where b = 0 ; db = s(dy·y·ln a), 0 where a <= 0 ; as torch has them for a = 0 */
  Pow: gradient(reduced(powBase), reduced(powExponent)),
  /** dx_i = s(dy where x_i = y), shared by all that reach it: torch halves for two */
  Max: variadic(extremeGradient),
  Min: variadic(extremeGradient),
  /** dx_i = s(dy) */
  Sum: spelledForward(
    variadic(({ f, dy, x }, index) => f.sumTo(dy, x[index]!.shape)),
    total,
  ),
  /** dx_i = s(dy)/n of n inputs */
  Mean: spelledForward(
    variadic(({ f, dy, x }, index) => f.sumTo(f.div(dy, x.length), x[index]!.shape)),
    (use) => use.f.div(total(use), use.x.length),
  ),
  /** da = s(dy where c) ; db = s(dy where not c) */
  Where: gradient(
    null,
    ({ f, dy, x, y }) => f.sumTo(chosen(f, x[0]!, true, dy, y[0]!), x[1]!.shape),
    ({ f, dy, x, y }) => f.sumTo(chosen(f, x[0]!, false, dy, y[0]!), x[2]!.shape),
  ),

  Neg: unary(({ f }, _, dy) => f.neg(dy)),
  /** dx = dy, in the input's type */
  Cast: unary(({ f }, x, dy) => f.cast(dy, x.dtype)),
  /** dx = dy·sign(x) */
  Abs: unary(({ f }, x, dy) => f.where(f.greater(x, 0), dy, f.where(f.greater(0, x), f.neg(dy), 0))),
  /** dx = dy·y */
  Exp: unary(({ f }, _, dy, y) => f.mul(dy, y)),
  /** dx = dy/x */
  Log: unary(({ f }, x, dy) => f.div(dy, x)),
  /**
   * dx = dy/(2y) ; 0 where y = 0, as torch has it for its norms and deviations, which are exported as roots; its bare
   * root has ∞ there, with which nothing trains
   */
  Sqrt: unary(({ f }, _, dy, y) => f.where(f.greater(y, 0), f.div(f.mul(dy, 0.5), y), 0)),
  /** dx = -dy·y² */
  Reciprocal: unary(({ f }, _, dy, y) => f.neg(f.mul(dy, f.mul(y, y)))),
  /** dx = dy·(1 - y²) */
  Tanh: unary(({ f }, _, dy, y) => f.mul(dy, f.sub(1, f.mul(y, y)))),
  /** dx = dy·y·(1 - y) */
  Sigmoid: unary(({ f }, _, dy, y) => f.mul(dy, f.mul(y, f.sub(1, y)))),
  /** dx = dy·(2/√π)·e^(-x²) */
  Erf: unary(({ f }, x, dy) => f.mul(f.mul(dy, 2 / Math.sqrt(Math.PI)), f.exp(f.neg(f.mul(x, x))))),

  /** y = a - b·trunc(a/b): da = s(dy) ; db = -s(dy·trunc(a/b)) */
  Mod: spelledOnGpu(
    gradient(
      reduced(({ dy }) => dy),
      ({ f, dy, x }) => {
        const ratio = f.div(x[0]!, x[1]!)
        const whole = f.where(f.greater(ratio, 0), f.unary('Floor', ratio), f.unary('Ceil', ratio))
        return f.neg(f.sumTo(f.mul(dy, whole), x[1]!.shape))
      },
    ),
    remainder,
  ),

  Floor: constant('it is flat between jumps'),
  Ceil: constant('it is flat between jumps'),
  Round: spelledOnGpu(constant('it is flat between jumps'), rounded),
  Sign: spelledForward(constant('it is flat between jumps'), ({ f, x }) =>
    f.where(f.greater(x[0]!, 0), 1, f.where(f.greater(0, x[0]!), -1, 0)),
  ),
} as const

/** To the nearest whole number, and of two that are equally near to the even one. */
function rounded({ f, x }: Use): Value {
  const low = f.unary('Floor', x[0]!)
  const rest = f.sub(x[0]!, low)
  const isOdd = f.sub(low, f.mul(f.unary('Floor', f.mul(low, 0.5)), 2))
  return f.add(low, f.where(f.equal(rest, 0.5), isOdd, f.cast(f.greater(rest, 0.5), 'float32')))
}

/** Σ x_i */
function total({ f, x }: Use): Value {
  return x.reduce((sum, value) => f.add(sum, value))
}

function powBase({ f, dy }: Application, base: Value, exponent: Value): Value {
  const known = f.constantOf(exponent)
  const power = known !== null && known.data.length === 1 ? numbersOf(known)[0]! : null
  if (power === 0) return f.mul(dy, 0)
  if (power === 2) return f.mul(f.mul(dy, 2), base)
  if (power !== null) return f.mul(dy, f.mul(power, f.pow(base, power - 1)))
  const slope = f.mul(exponent, f.pow(base, f.sub(exponent, 1)))
  return f.mul(dy, f.where(f.equal(exponent, 0), 0, slope)) // 0·∞ for a base of zero
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

/**
 * C's fmod: |a| less what it has of whole |b|, with a's sign. A quotient that was rounded to the wrong side of a whole is set right.
 */
function remainder({ f, x }: Use): Value {
  const [a, b] = [f.unary('Abs', x[0]!), f.unary('Abs', x[1]!)]
  const rest = f.sub(a, f.mul(b, f.unary('Floor', f.div(a, b))))
  const notOver = f.where(f.greaterOrEqual(rest, b), f.sub(rest, b), rest)
  const inside = f.where(f.greater(0, notOver), f.add(notOver, b), notOver)
  return f.where(f.greater(0, x[0]!), f.neg(inside), inside)
}

/**
 * `dy` where `condition` is `wanted`, else 0; `y`: what was chosen. Of a softmax's masked scores, whose gradient is
 * finite, it is a product with the mask, which takes a third of the time of a selection.
 */
function chosen(f: Formulas, condition: Value, wanted: boolean, dy: Value, y: Value): Value {
  const isSmall = f.builder.target.device === 'cpu' && sizeOf(condition.shape) < sizeOf(dy.shape)
  if (!isSmall || !isGradientOfSoftmax(f, y, dy)) {
    return wanted ? f.where(condition, dy, 0) : f.where(condition, 0, dy)
  }
  const mask = f.cast(condition, 'float32')
  return f.mul(dy, wanted ? mask : f.sub(1, mask))
}
