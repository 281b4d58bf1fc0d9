/**
 * How much memory a training step takes, from the graph alone: what is there all the time, and the most that is alive
 * at once while the step runs, each value from the node that makes it to the last one that reads it (liveness in
 * execution order).
 *
 * An estimate: runtimes reorder nodes, fuse them, keep freed memory, and have scratch space of their own. What that
 * comes to was measured, and is in {@link stepBytes}.
 */

import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { neededNodes } from '../onnx/graph.ts'
import { type Constant, type ElementType, sizeOf } from '../onnx/types.ts'

/** Bytes of one step. */
export interface StepMemory {
  /** Parameters and the optimizer's slots, as they are before the step. */
  stateBytes: number
  /** What stands in the graph: frozen weights, masks, tables. */
  constantBytes: number
  /** The most that the step's own values take at one time: activations, gradients, what parameters and slots become. */
  valueBytes: number
}

/**
 * How often the state is in memory: as the step reads it, as the runtime holds it for the next one, and what the step
 * before left, which is collected some steps later. With Adam a GPT of 49 M parameters took 2,332 MiB where state and
 * values are 1,133.
 */
const stateCopies = 3

/**
 * How often a constant is in memory: in the imported model, in the files of three graphs, as the runtime holds it, and on
 * its way between them. With 64, 128 and 256 MiB of frozen weights a process grew by 7.5, 5.5 and 3.4 times as much
 * beside the model's own file until its fifth step (native; what is collected meanwhile differs).
 */
const constantCopies = 6

/**
 * What a runtime takes for each byte of values: blocks that are rounded up and kept, and the scratch space of
 * convolutions.
 */
const valueFactor = 1.25

/**
 * What a step takes by estimate, bytes: 0.9 to 1.15 of that was measured for perceptrons, GPTs and a ResNet-18 on
 * native, with all values kept and with recomputation (docs/decisions/0015).
 */
export function stepBytes({ stateBytes, constantBytes, valueBytes }: StepMemory): number {
  return Math.ceil(stateCopies * stateBytes + constantCopies * constantBytes + valueFactor * valueBytes)
}

/** Operators whose result is their input's memory under another shape. */
const views: ReadonlySet<string> = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity'])

/**
 * Bytes of an element: of float16 half as many as of float32 and int32; values of other types are few, and taken for
 * those.
 */
export function bytesPerElement(dtype: ElementType): number {
  return dtype === 'float16' ? 2 : 4
}

/**
 * The largest sum of bytes of the values that are alive at one time while `nodes`, in execution order, compute
 * `outputs`. Inputs and constants are not counted ({@link constantBytes}), nor are nodes that no output needs.
 */
export function peakBytes(nodes: readonly TypedNode[], outputs: readonly Value[]): number {
  const used = neededNodes(nodes, new Set(outputs.map(({ name }) => name)))
  const rootOf = viewRoots(used)
  const lastUse = new Map<string, number>()
  for (const [index, { inputs }] of used.entries()) {
    for (const input of inputs) if (input !== null) lastUse.set(rootOf(input.name), index)
  }
  for (const { name } of outputs) lastUse.set(rootOf(name), used.length)
  const alive = new Map<string, number>()
  let [bytes, peak] = [0, 0]
  for (const [index, { inputs, outputs: made }] of used.entries()) {
    for (const value of made) {
      if (value === null || rootOf(value.name) !== value.name) continue
      alive.set(value.name, bytesPerElement(value.dtype) * sizeOf(value.shape))
      bytes += alive.get(value.name)!
    }
    peak = Math.max(peak, bytes)
    for (const value of [...inputs, ...made]) {
      const name = value === null ? '' : rootOf(value.name)
      if ((lastUse.get(name) ?? -1) > index) continue
      bytes -= alive.get(name) ?? 0
      alive.delete(name)
    }
  }
  return peak
}

/**
 * Bytes of the constants that `nodes` read to compute `outputs`, each once. `constantOf`: its value, null for what is
 * none.
 */
export function constantBytes(
  nodes: readonly TypedNode[],
  outputs: readonly Value[],
  constantOf: (value: Value) => Constant | null,
): number {
  const counted = new Map<string, number>()
  for (const { inputs } of neededNodes(nodes, new Set(outputs.map(({ name }) => name)))) {
    for (const input of inputs) {
      const constant = input && constantOf(input)
      if (constant) counted.set(input.name, constant.data.byteLength)
    }
  }
  return [...counted.values()].reduce((sum, bytes) => sum + bytes, 0)
}

/**
 * Finds the value whose memory a value is, by name: itself, unless it is a view that `nodes`, in execution order, make.
 */
export function viewRoots(nodes: readonly TypedNode[]): (name: string) => string {
  const roots = new Map<string, string>()
  for (const { opType, inputs, outputs } of nodes) {
    const [[first], [output]] = [inputs, outputs]
    if (views.has(opType) && first && output) roots.set(output.name, roots.get(first.name) ?? first.name)
  }
  return (name) => roots.get(name) ?? name
}
