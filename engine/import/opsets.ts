/**
 * The operator sets that models pass through: the file's own, the one in which they are read, the one in which graphs
 * are written.
 *
 * Operators of sets before 18 take set 18's form when a file is read (upgrade.ts). Of later sets only new operators
 * matter: new definitions of old ones added element types, which training does not use, and onnxruntime 1.30 has no
 * kernel for some of them.
 */
import type { Node } from '../onnx/graph.ts'

/** Models are read in this operator set, or in a newer one where they need it. */
export const opsetTarget = 18

/**
 * The newest operator set that training graphs are written in. Set 22 only added element types, and onnxruntime 1.30
 * has no WebGPU kernels for most of what it touched (Sin, Elu, HardSigmoid, ...), and none at all for its RoiAlign.
 * What came later is spelled out, unless it counts.
 */
export const opsetWritten = 21

/** The sets that defined an operator which came after {@link opsetWritten}. */
const newer: ReadonlyMap<string, readonly number[]> = new Map([
  ['Attention', [23, 24]],
  ['RMSNormalization', [23]],
  ['RotaryEmbedding', [23]],
  ['Swish', [24]],
  ['TensorScatter', [24]],
  ['BitCast', [26]],
  ['CumProd', [26]],
])

/** Whether `opType` came after {@link opsetWritten}. */
export function isNewer(opType: string): boolean {
  return newer.has(opType)
}

/** The oldest operator set in which `nodes`, of a file of set `opset` and in normal form, mean what they mean there. */
export function opsetRead(nodes: readonly Node[], opset: number): number {
  return Math.min(Math.max(opset, opsetTarget), Math.max(opsetWritten, newestIn(nodes, opset)))
}

/** The newest definition, up to set `opset`, of a newer operator among `nodes` and those inside them; 0 without one. */
function newestIn(nodes: readonly Node[], opset: number): number {
  return nodes.reduce((newest, { opType, attributes }) => {
    const own = newer.get(opType)?.findLast((since) => since <= opset) ?? 0
    const inner = Object.values(attributes).map((attribute) =>
      attribute.kind === 'graph' ? newestIn(attribute.value.nodes, opset) : 0,
    )
    return Math.max(newest, own, ...inner)
  }, 0)
}
