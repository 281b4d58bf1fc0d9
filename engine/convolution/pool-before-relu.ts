/**
 * A Relu under a maximum over windows moves above it, where it has a quarter of the elements or fewer: Relu never
 * falls, so values are the same, and gradients too: where the largest element is no larger than zero, none flows either
 * way. Only the place of such an element may be another, so a pooling that tells its places stays where it is.
 */
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { madeName } from '../onnx/graph.ts'

/**
 * `original`, in execution order, with `MaxPool(Relu(x))` as `Relu(MaxPool(x))`, where nobody else reads the Relu or
 * the places that the pooling found.
 */
export function poolBeforeRelu(original: readonly TypedNode[]): TypedNode[] {
  const nodes = [...original]
  const readers = (value: Value) =>
    nodes.filter(({ inputs }) => inputs.some((input) => input?.name === value.name)).length
  for (const [index, pool] of nodes.entries()) {
    if (pool.opType !== 'MaxPool' || hasPlaces(pool)) continue
    const reluIndex = nodes.findIndex(
      ({ opType, outputs }) => opType === 'Relu' && outputs[0]?.name === pool.inputs[0]?.name,
    )
    const relu = nodes[reluIndex]
    if (relu === undefined || readers(relu.outputs[0]!) > 1) continue
    const pooled = { ...pool.outputs[0]!, name: madeName(pool.outputs[0]!.name, 'pooled') }
    nodes[reluIndex] = { ...pool, inputs: relu.inputs, outputs: [pooled] }
    nodes[index] = { ...relu, inputs: [pooled], outputs: pool.outputs }
  }
  return nodes
}

/** Whether somebody reads where a pooling found its largest elements. */
export function hasPlaces({ outputs }: TypedNode): boolean {
  return outputs.some((output, index) => index > 0 && output !== null)
}
