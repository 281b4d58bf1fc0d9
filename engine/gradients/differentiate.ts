/**
 * Reverse-mode differentiation of a graph: from the gradient of one value to the gradients of others (Griewank &
 * Walther, "Evaluating Derivatives", 2008, chapter 3). The backward nodes are added to the same builder.
 *
 * Walks the forward nodes backwards once; gradients that meet at a value are added (accumulate.ts) in the order of the
 * walk, so the same model gives the same graph and the same bits. Only values between the wanted ones and the output
 * get a gradient.
 */
import { assert } from '../../protocols/core/assert.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { isReal, sizeOf } from '../onnx/types.ts'
import { accumulate } from './accumulate.ts'
import { Recall, type Recomputed } from './recall.ts'
import { type Application, formulaOf } from './rule.ts'
import { ruleOf } from './rules.ts'

/**
 * Gradients of `wanted`, in their order, when `seed` is the gradient of `output`. `nodes` are the forward nodes, in
 * execution order. A value on which the output does not depend, because all between them is without elements, has
 * zeros. `recomputed`: forward values to make again instead of reading them.
 */
export function differentiate(
  f: Formulas,
  nodes: readonly TypedNode[],
  output: Value,
  seed: Value,
  wanted: readonly Value[],
  recomputed: Recomputed = new Map(),
): Value[] {
  const recall = new Recall(f, recomputed)
  const active = activeValues(nodes, wanted)
  const arrived = new Map<string, Value[]>([[output.name, [seed]]])
  // every reader of a value comes after its maker: when the maker is reached, all of its gradients have arrived
  const gradientOf = (value: Value): Value | null => {
    const gradients = arrived.get(value.name)
    return gradients === undefined ? null : accumulate(f, gradients)
  }
  for (const node of nodes.toReversed()) {
    const dys = node.outputs.map((value) => (value === null ? null : gradientOf(value)))
    const arriving = dys.find((dy) => dy !== null)
    if (!arriving) continue
    const application = applicationOf(f, recall.of(node, arriving), dys)
    for (const [index, input] of node.inputs.entries()) {
      const formula = input !== null && active.has(input.name) ? formulaOf(ruleOf(node.opType), index) : null
      if (input === null || formula === null) continue
      const gradient = isEmpty(input, dys) ? f.full(input.shape) : formula(application, index)
      assert(
        `${gradient.shape}` === `${input.shape}`,
        `gradient ${index} of ${node.opType} has shape [${gradient.shape}], its input [${input.shape}]`,
      )
      arrived.set(input.name, [...(arrived.get(input.name) ?? []), gradient])
    }
  }
  return wanted.map((value) => gradientOf(value) ?? f.full(value.shape))
}

/**
 * Whether nothing flows, because `input` or everything that `dys` are gradients of has no elements: formulas need not
 * mind that.
 */
function isEmpty(input: Value, dys: readonly (Value | null)[]): boolean {
  return sizeOf(input.shape) === 0 || dys.every((dy) => dy === null || sizeOf(dy.shape) === 0)
}

/**
 * Names of the values that move when a wanted one does. Whole numbers and truth values jump or stay: none flows through
 * them.
 */
function activeValues(nodes: readonly TypedNode[], wanted: readonly Value[]): Set<string> {
  const active = new Set(wanted.map(({ name }) => name))
  for (const { opType, inputs, outputs } of nodes) {
    const rule = ruleOf(opType)
    const moves = inputs.some(
      (input, index) => input !== null && active.has(input.name) && formulaOf(rule, index) !== null,
    )
    if (!moves) continue
    for (const output of outputs) if (output !== null && isReal(output.dtype)) active.add(output.name)
  }
  return active
}

function applicationOf(f: Formulas, node: TypedNode, dys: readonly (Value | null)[]): Application {
  return {
    f,
    opType: node.opType,
    node: node.name,
    attributes: node.attributes,
    x: node.inputs as readonly Value[], // `has` guards the ones left out
    has: (index) => (node.inputs[index] ?? null) !== null,
    y: node.outputs as readonly Value[],
    get dy(): Value {
      const [dy] = dys
      assert(dy !== null && dy !== undefined, `the first output of ${node.opType} has no gradient`)
      return dy
    },
    dys,
  }
}
