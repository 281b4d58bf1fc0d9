/**
 * What is folded, operator by operator: how its results grow, and what it works for them (folded-size.ts).
 *
 * null: it is not folded. Exporters leave masks, shapes, position tables and windows to be computed; none leaves a
 * recurrent net, an attention or a detector over constants, and what those cost follows from values, not from shapes.
 * What is random, text, a sequence or a subgraph is somebody else's, or nobody's.
 */

import type { OpType } from '../onnx/op-types.ts'
import * as size from './folded-size.ts'

/** Bounds of what folding an operator makes, and of the work. */
export interface FoldableRow {
  readonly elements: size.Elements
  readonly operations: size.Operations
}

const row = (elements: size.Elements, operations: size.Operations = size.once): FoldableRow => ({
  elements,
  operations,
})

const asFirst = row(size.first)
const elementwise = row(size.broadcast)

/** The same row for several operators. */
function rows<const Op extends OpType, Row extends FoldableRow | null>(
  same: Row,
  ...operators: readonly Op[]
): { readonly [Name in Op]: Row } {
  return Object.fromEntries(operators.map((operator) => [operator, same])) as { [Name in Op]: Row }
}

export const foldable: { readonly [Op in OpType]: FoldableRow | null } = {
  ...rows(asFirst, 'Abs', 'Acos', 'Acosh', 'Asin', 'Asinh', 'Atan', 'Atanh', 'BitwiseNot', 'Cast', 'Ceil'),
  ...rows(asFirst, 'Celu', 'Cos', 'Cosh', 'Elu', 'Erf', 'Exp', 'Floor', 'Gelu', 'HardSigmoid', 'HardSwish'),
  ...rows(asFirst, 'Hardmax', 'Identity', 'IsInf', 'IsNaN', 'LeakyRelu', 'Log', 'LogSoftmax', 'Mish'),
  ...rows(asFirst, 'Neg', 'Not', 'Reciprocal', 'Relu', 'Round', 'Selu', 'Shrink', 'Sigmoid', 'Sign', 'Sin'),
  ...rows(asFirst, 'Sinh', 'Softmax', 'Softplus', 'Softsign', 'Sqrt', 'Swish', 'Tan', 'Tanh'),
  ...rows(asFirst, 'ThresholdedRelu', 'CumProd', 'CumSum', 'Trilu', 'ArgMax', 'ArgMin', 'ReduceL1'),
  ...rows(asFirst, 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean', 'ReduceMin'),
  ...rows(asFirst, 'ReduceProd', 'ReduceSum', 'ReduceSumSquare', 'GlobalAveragePool', 'GlobalLpPool'),
  ...rows(asFirst, 'GlobalMaxPool', 'LpNormalization', 'BatchNormalization', 'GroupNormalization'),
  ...rows(asFirst, 'InstanceNormalization', 'LayerNormalization', 'RMSNormalization', 'RotaryEmbedding'),
  ...rows(asFirst, 'DepthToSpace', 'SpaceToDepth', 'EyeLike', 'Flatten', 'ReverseSequence'),
  ...rows(asFirst, 'ScatterElements', 'ScatterND', 'TensorScatter', 'Shape', 'Size', 'Slice', 'Split'),
  ...rows(asFirst, 'Squeeze', 'Transpose', 'Unsqueeze', 'DequantizeLinear', 'QuantizeLinear'),
  ...rows(asFirst, 'DynamicQuantizeLinear', 'NegativeLogLikelihoodLoss', 'SoftmaxCrossEntropyLoss'),
  ...rows(elementwise, 'Add', 'And', 'BitShift', 'BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'Clip', 'Div'),
  ...rows(elementwise, 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Max', 'Mean', 'Min'),
  ...rows(elementwise, 'Mod', 'Mul', 'Or', 'PRelu', 'Pow', 'Sub', 'Sum', 'Where', 'Xor'),
  ...rows(row(size.first, size.sorting), 'TopK', 'Unique'),
  ...rows(row(size.pooled, size.windows), 'AveragePool', 'LpPool', 'MaxPool'),
  ...rows(row(size.filled(0)), 'ConstantOfShape', 'BlackmanWindow', 'HammingWindow', 'HannWindow'),
  /** Two or three coordinates for each place of an image of these sizes. */
  AffineGrid: row(size.filled(1, (sizes) => 3 * size.areaOf(sizes))),
  /** Into elements of an eighth of the bits. */
  BitCast: row(size.times(8)),
  CenterCropPad: row(size.centred),
  Col2Im: row(size.fromColumns),
  Concat: row(size.sum),
  Conv: row(size.convolved, size.filters(0)),
  ConvTranspose: row(size.deconvolved, size.filters(1)),
  Einsum: row(size.product, size.choices),
  Expand: row(size.expanded),
  Gather: row(size.gathered),
  GatherElements: row(size.asMany(1)),
  GatherND: row(size.gatheredByRows),
  Gemm: row(size.multipliedPlain, size.rowByColumn),
  MatMul: row(size.multiplied, size.rowByColumn),
  MaxUnpool: row(size.unpooled),
  MelWeightMatrix: row(size.melWeights),
  /** A number for each of up to eight axes. */
  NonZero: row(size.times(8)),
  OneHot: row(size.repeated),
  Pad: row(size.padded),
  Range: row(size.counted),
  Reshape: row(size.reshaped),
  Resize: row(size.resized, size.samples),
  Tile: row(size.repeated),
  ...rows(null, 'Attention', 'CausalConvWithState', 'DFT', 'DeformConv', 'Det', 'GRU', 'GridSample', 'LRN'),
  ...rows(null, 'LSTM', 'LinearAttention', 'MaxRoiPool', 'NonMaxSuppression', 'RNN', 'RoiAlign', 'STFT'),
  ...rows(null, 'SwiGLU', 'ConvInteger', 'MatMulInteger', 'QLinearConv', 'QLinearMatMul', 'Bernoulli'),
  ...rows(null, 'Dropout', 'Multinomial', 'RandomNormal', 'RandomNormalLike', 'RandomUniform'),
  ...rows(null, 'RandomUniformLike', 'ImageDecoder', 'RegexFullMatch', 'StringConcat', 'StringNormalizer'),
  ...rows(null, 'StringSplit', 'TfIdfVectorizer', 'Optional', 'OptionalGetElement', 'OptionalHasElement'),
  ...rows(null, 'CastLike', 'Compress', 'ConcatFromSequence', 'Constant', 'If', 'Loop'),
  ...rows(null, 'MeanVarianceNormalization', 'Scan', 'Scatter', 'SequenceAt', 'SequenceConstruct'),
  ...rows(null, 'SequenceEmpty', 'SequenceErase', 'SequenceInsert', 'SequenceLength', 'SequenceMap'),
  ...rows(null, 'SplitToSequence', 'Upsample'),
}
