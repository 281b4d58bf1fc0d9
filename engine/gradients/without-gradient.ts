/**
 * Operators without a formula, and why. Two kinds: those whose output does not move with small input changes
 * (comparisons, indices, shapes) are fine in a model that trains; the others refuse it, with what to do instead. Random
 * draws refuse it wherever they stand.
 */
import { constant, imported, missing, type Rule } from './rule.ts'

const truth = constant('its output is a truth value')
const integer = constant('it computes with integers')
const index = constant('its output is an index or a shape')
const detached = constant('it is what a module detached: the others are gone when a file is read')
const generated = constant('its output does not depend on parameters')

const sequence = missing(
  'it makes a sequence of tensors',
  'Write the model with tensors: torch.split with fixed sizes is understood.',
)
const tooNew = missing(
  'it is newer than the operator sets that the runtime loads',
  'Export at operator set 26 or older: opset_version=26.',
)
const dropped = missing('ONNX dropped it before operator set 11', 'Export at operator set 11 or newer.')
/**
 * No gradient passes a rounding. One that skips it (a straight-through estimate) is a choice of a method, which a file
 * does not name.
 */
const quantised = missing(
  'it computes with values rounded to integers, for inference',
  'Export the float32 model, before quantisation; after quantisation-aware training, without its fake quantisation.',
)
/**
 * Without inputs it would be folded into a constant, the same noise in every step; made again in a backward pass it
 * would be other noise.
 */
const random: Rule = {
  kind: 'missing',
  reason: 'its output is random: no peer could repeat a step',
  remedy:
    'Give the model its random numbers as an input, drawn when the data set is made; or export in evaluation mode, model.eval(), ' +
    'where it draws none.',
  never: true,
}
const text = missing('it works on text or files', 'Do it before training, when the data set is made.')

/** The same row for several operators. */
function rows<const Op extends string>(
  rule: Rule,
  ...operators: readonly Op[]
): { readonly [Name in Op]: Rule } {
  return Object.fromEntries(operators.map((operator) => [operator, rule])) as { [Name in Op]: Rule }
}

export const withoutGradient = {
  ...rows(
    truth,
    'And',
    'Or',
    'Xor',
    'Not',
    'Equal',
    'Greater',
    'GreaterOrEqual',
    'Less',
    'LessOrEqual',
    'IsInf',
    'IsNaN',
  ),
  ...rows(integer, 'BitCast', 'BitShift', 'BitwiseAnd', 'BitwiseNot', 'BitwiseOr', 'BitwiseXor'),
  ...rows(index, 'Shape', 'Size', 'NonZero', 'NonMaxSuppression', 'Unique'),
  ...rows(index, 'OneHot'),
  ...rows(detached, 'Identity'),
  ...rows(generated, 'Constant', 'ConstantOfShape', 'EyeLike', 'Range'),
  ...rows(generated, 'BlackmanWindow', 'HammingWindow', 'HannWindow', 'MelWeightMatrix'),
  ...rows(imported, 'CastLike', 'MeanVarianceNormalization', 'If', 'Loop', 'Scan', 'Compress'),
  ...rows(imported, 'SplitToSequence', 'SequenceAt', 'SequenceConstruct', 'SequenceEmpty', 'SequenceErase'),
  ...rows(imported, 'SequenceInsert', 'SequenceLength', 'ConcatFromSequence'),
  ...rows(sequence, 'SequenceMap', 'Optional', 'OptionalGetElement', 'OptionalHasElement'),
  ...rows(quantised, 'ConvInteger', 'MatMulInteger', 'QLinearConv', 'QLinearMatMul', 'QuantizeLinear'),
  ...rows(quantised, 'DynamicQuantizeLinear'),
  /**
   * Scale and zero point belong to the integers: weights that a file stores so are constants, beside which others, an
   * adapter's, train.
   */
  DequantizeLinear: { ...quantised, still: [1, 2] } as Rule,
  ...rows(
    random,
    'Bernoulli',
    'Multinomial',
    'RandomNormal',
    'RandomNormalLike',
    'RandomUniform',
    'RandomUniformLike',
  ),
  ...rows(
    text,
    'RegexFullMatch',
    'StringConcat',
    'StringNormalizer',
    'StringSplit',
    'TfIdfVectorizer',
    'ImageDecoder',
  ),
  Dropout: missing('its mask is read by another node', 'Export in evaluation mode, model.eval().'),
  ...rows(dropped, 'Scatter', 'Upsample'),
  ...rows(tooNew, 'SwiGLU', 'LinearAttention', 'CausalConvWithState'),
} as const
