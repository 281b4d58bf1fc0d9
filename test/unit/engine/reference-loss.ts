/** The reference of losses that stand in a model, by the letter of ONNX's Operators.md. */
import { at, build, type Nd, type Plain } from './reference-array.ts'

type Operator = (inputs: readonly Nd[], attributes: Plain) => Nd

const negativeLogLikelihood: Operator = ([logarithms, labels, weights], attributes) => {
  const { reduction = 'mean', ignore_index: ignored } = attributes
  const weightAt = (index: readonly number[]) => {
    const label = at(labels!, index)
    if (label === ignored) return 0
    return weights === undefined ? 1 : weights.data[label]!
  }
  const weightOf = build(labels!.shape, weightAt)
  const losses = build(labels!.shape, (index) => {
    const [n, ...rest] = index as [number, ...number[]]
    return -weightAt(index) * at(logarithms!, [n, at(labels!, index), ...rest])
  })
  if (reduction === 'none') return losses
  const total = (values: Nd) => values.data.reduce((sum, value) => sum + value, 0)
  const divisor = reduction === 'mean' ? total(weightOf) : 1
  return { shape: [], data: Float64Array.of(total(losses) / divisor) }
}

export const losses: Readonly<Record<string, Operator>> = {
  NegativeLogLikelihoodLoss: negativeLogLikelihood,
  SoftmaxCrossEntropyLoss: ([logits, ...rest], attributes) => {
    const [n, classes, ...inner] = logits!.shape as [number, number, ...number[]]
    const logarithms = build([n, classes, ...inner], ([image, c, ...place]) => {
      const powers = Array.from({ length: classes }, (_, k) => Math.exp(at(logits!, [image!, k, ...place])))
      return at(logits!, [image!, c!, ...place]) - Math.log(powers.reduce((sum, power) => sum + power, 0))
    })
    return negativeLogLikelihood([logarithms, ...rest], attributes)
  },
}
