/** Element-wise operators of the reference interpreter, as the ONNX specification defines them. */
import { type Nd, type Plain, zip } from './reference-array.ts'

export type Operator = (inputs: readonly Nd[], attributes: Plain) => Nd

const unary =
  (formula: (x: number, a: Plain) => number): Operator =>
  ([x], attributes) =>
    zip([x!], (value) => formula(value, attributes))

const nary =
  (formula: (...values: number[]) => number): Operator =>
  (inputs) =>
    zip(inputs, formula)

const number = (attributes: Plain, name: string, otherwise: number) => Number(attributes[name] ?? otherwise)

/** erf by its Taylor series, which converges to float64 precision for |x| < 4. */
function erf(x: number): number {
  let term = x
  let sum = x
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const softplus = (x: number) => Math.log1p(Math.exp(x))

export const elementwise: Readonly<Record<string, Operator>> = {
  Add: nary((a, b) => a + b!),
  Sub: nary((a, b) => a - b!),
  Mul: nary((a, b) => a * b!),
  Div: nary((a, b) => a / b!),
  Pow: nary((a, b) => a ** b!),
  Max: nary(Math.max),
  Min: nary(Math.min),
  Sum: nary((...values) => values.reduce((sum, value) => sum + value, 0)),
  Mean: nary((...values) => values.reduce((sum, value) => sum + value, 0) / values.length),
  Where: nary((condition, yes, no) => (condition !== 0 ? yes! : no!)),
  PRelu: nary((x, slope) => (x > 0 ? x : x * slope!)),
  Clip: nary((x, low, high) => Math.min(Math.max(x, low ?? -Infinity), high ?? Infinity)),
  Mod: nary((a, b) => a % b!),
  Tan: unary(Math.tan),
  Asin: unary(Math.asin),
  Acos: unary(Math.acos),
  Atan: unary(Math.atan),
  Sinh: unary(Math.sinh),
  Cosh: unary(Math.cosh),
  Asinh: unary(Math.asinh),
  Acosh: unary(Math.acosh),
  Atanh: unary(Math.atanh),
  ThresholdedRelu: unary((x, a) => (x > number(a, 'alpha', 1) ? x : 0)),
  Shrink: unary((x, a) => {
    const [lambd, bias] = [number(a, 'lambd', 0.5), number(a, 'bias', 0)]
    return x < -lambd ? x + bias : x > lambd ? x - bias : 0
  }),
  Floor: unary(Math.floor),
  Sign: unary(Math.sign),
  Neg: unary((x) => -x),
  Cast: unary((x) => x),
  Identity: unary((x) => x),
  Abs: unary(Math.abs),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Reciprocal: unary((x) => 1 / x),
  Tanh: unary(Math.tanh),
  Sigmoid: unary(sigmoid),
  Erf: unary(erf),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Relu: unary((x) => Math.max(x, 0)),
  LeakyRelu: unary((x, a) => (x > 0 ? x : x * number(a, 'alpha', 0.01))),
  Elu: unary((x, a) => (x > 0 ? x : number(a, 'alpha', 1) * Math.expm1(x))),
  Selu: unary((x, a) => {
    const gamma = number(a, 'gamma', 1.0507009873554805)
    return gamma * (x > 0 ? x : number(a, 'alpha', 1.6732632423543772) * Math.expm1(x))
  }),
  Celu: unary(
    (x, a) => Math.max(0, x) + Math.min(0, number(a, 'alpha', 1) * Math.expm1(x / number(a, 'alpha', 1))),
  ),
  Softplus: unary(softplus),
  Softsign: unary((x) => x / (1 + Math.abs(x))),
  HardSigmoid: unary((x, a) =>
    Math.max(0, Math.min(1, number(a, 'alpha', 0.2) * x + number(a, 'beta', 0.5))),
  ),
  HardSwish: unary((x) => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  Mish: unary((x) => x * Math.tanh(softplus(x))),
  Swish: unary((x, a) => x * sigmoid(number(a, 'alpha', 1) * x)),
  Gelu: unary((x, a) =>
    a.approximate === 'tanh'
      ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
      : 0.5 * x * (1 + erf(x / Math.SQRT2)),
  ),
}
