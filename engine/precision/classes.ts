/**
 * Which operators of a training graph compute in float16, and which do not.
 *
 * float16 has 11 bits of precision and ends at 65,504. What is fast in it and safe, what is not, follows the lists that
 * PyTorch publishes for autocast ("Automatic Mixed Precision package", CUDA Op-Specific Behavior) and NVIDIA's
 * "Training With Mixed Precision" (products in half, reductions and statistics in full, memory-bound operators in
 * whatever their input is):
 *
 *   product      matrix products and convolutions: most of the work, and twice as fast or more in half
 *   exact        moves and choices: each element of the result is one of the operands, which half holds as it is
 *   arithmetic   sums, products and kinks of two values or one: a rounding of 2^-11 in each, as in everything that is stored in half
 *   bounded      computed in full, since exponentials, divisions or means are inside, and handed on in half: the result is no
 *                larger than 1, than its input, or than what a normalisation leaves, and there is much of it
 *   full         everything else: what leaves the range (exp, log, powers, quotients), what adds up many terms (reductions,
 *                cumulative sums, scattered additions), and what nobody has looked at
 *
 * autocast hands `bounded` results on in float32, and widens where types meet; here activations stay in half, which is
 * what a device with little memory wants of it. How the pass decides about one node is mixed.ts's.
 */

import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { intOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'

export type PrecisionClass = 'product' | 'exact' | 'arithmetic' | 'bounded' | 'full'

const members: Readonly<Record<Exclude<PrecisionClass, 'full'>, string>> = {
  product: 'Conv ConvTranspose Gemm MatMul',
  exact: [
    'Reshape Flatten Squeeze Unsqueeze Identity Transpose Slice Split Concat Pad Tile Expand DepthToSpace SpaceToDepth',
    'Gather GatherElements GatherND Where Relu Neg Abs Max Min Clip MaxPool GlobalMaxPool ReduceMax ReduceMin',
    'Equal Greater GreaterOrEqual Less LessOrEqual',
  ].join(' '),
  arithmetic: 'Add Sub Mul Div LeakyRelu PRelu HardSigmoid ThresholdedRelu',
  bounded: [
    'Softmax Sigmoid Tanh Erf Gelu Elu Selu Celu Softsign Mish HardSwish Swish',
    'LayerNormalization InstanceNormalization GroupNormalization RMSNormalization BatchNormalization',
    'AveragePool GlobalAveragePool Resize',
  ].join(' '),
}

const classes: ReadonlyMap<string, PrecisionClass> = new Map(
  Object.entries(members).flatMap(([name, operators]) =>
    operators.split(' ').map((operator) => [operator, name as PrecisionClass] as const),
  ),
)

/**
 * Terms of a product that are added up in half. onnxruntime's WebGPU kernels add in the type of their operands
 * (gemm_utils.cc, `acc`): with K terms of either sign the sum is off by about 2^-11·√(K/6) of itself, 0.6 % for 1,024.
 * PyTorch's devices add in float32.
 */
export const halfTermsMax = 1_024

/**
 * The class of `node`. `isConstant` knows the graph's constants; `added`: elements of its result that a sum adds up to
 * one.
 */
export function classOf(
  node: TypedNode,
  isConstant: (value: Value) => boolean,
  added: number,
): PrecisionClass {
  const { opType, domain = '', inputs } = node
  const found = domain === '' ? (classes.get(opType) ?? 'full') : 'full'
  const [a, b] = inputs
  // a square is a power, and a quotient by data has no bound
  if (opType === 'Mul' && a?.name === b?.name) return 'full'
  if (opType === 'Div' && !isConstant(b!)) return 'full'
  if (found === 'product' && added * termsOf(node) > halfTermsMax) return 'bounded'
  return found
}

/** How many products each element of the result of `node`, a product, adds up. */
function termsOf({ opType, inputs, attributes }: TypedNode): number {
  const [x, weight] = inputs.map((value) => value?.shape) as [readonly number[], readonly number[]]
  switch (opType) {
    case 'Conv': // weight [outputs, channels of a group, ...kernel]
      return sizeOf(weight.slice(1))
    case 'ConvTranspose': // weight [channels, outputs of a group, ...kernel]
      return sizeOf(weight) / weight[1]! / intOf(attributes, 'group', 1)
    case 'Gemm':
      return x[intOf(attributes, 'transA', 0) === 1 ? 0 : 1]!
    default:
      return x.at(-1)!
  }
}
