/**
 * A Scan as a Loop (ONNX, Operators.md, Scan): each turn takes one slice of each scanned input, and what the turns make
 * is joined along a new first dimension. control.ts takes the Loop apart.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { type Inlined, subgraphOf } from './control.ts'
import { int, intOf, intsOf, type Node } from './graph.ts'
import { type Constant, int64Constant } from './types.ts'

/** The first input of `node` that is scanned, and the axis: its size is the number of turns. */
export function scannedInput(node: Node): { name: string; axis: number } {
  const states = stateCount(node)
  return { name: node.inputs[states]!, axis: intsOf(node.attributes, 'scan_input_axes')?.[0] ?? 0 }
}

/**
 * `node` as a Loop of `turns` turns.
 * @throws {SwarmError} MODEL_UNSUPPORTED when what the turns make is joined along another dimension than the first.
 */
export function scanAsLoop(node: Node, turns: number): Inlined {
  const { attributes, inputs, outputs } = node
  const states = stateCount(node)
  const body = subgraphOf(node, 'body')
  const prefix = `${node.name || outputs.find((name) => name !== '')}/scan`
  const [turn, goesOn, last, length] = ['turn', 'goes-on', 'last', 'length'].map(
    (word) => `${prefix}/${word}`,
  )
  const reversedInputs = intsOf(attributes, 'scan_input_directions') ?? []
  const axes = intsOf(attributes, 'scan_input_axes') ?? []
  const scanned = inputs.slice(states, body.inputs.length)
  const slices = scanned.flatMap((name, index): Node[] => {
    const [place, axis] = [`${prefix}/place/${index}`, int(axes[index] ?? 0)]
    const isReversed = reversedInputs[index] === 1
    const take = step('Gather', [name, isReversed ? place : turn!], body.inputs[states + index]!, { axis })
    return isReversed ? [step('Sub', [last!, turn!], place), take] : [take]
  })
  const constants = new Map<string, Constant>([
    [last!, { ...int64Constant([turns - 1]), shape: [] }],
    [length!, { ...int64Constant([turns]), shape: [] }],
  ])
  const { results, turned } = turnedOutputs(node, states)
  if (turned.length > 0) {
    constants.set(
      `${prefix}/backwards`,
      int64Constant(Array.from({ length: turns }, (_, k) => turns - 1 - k)),
    )
  }
  const loop: Node = {
    ...node,
    opType: 'Loop',
    inputs: [length!, '', ...inputs],
    outputs: results,
    attributes: {
      body: {
        kind: 'graph',
        value: {
          nodes: [...slices, ...body.nodes],
          constants: body.constants,
          inputs: [turn!, goesOn!, ...body.inputs.slice(0, states)],
          outputs: [goesOn!, ...body.outputs],
        },
      },
    },
  }
  const backwards = turned.map((output) =>
    step('Gather', [`${output}/forwards`, `${prefix}/backwards`], output, { axis: int(0) }),
  )
  return { nodes: [loop, ...backwards], constants, aliases: new Map() }
}

/**
 * Values that a turn hands on to the next. They come first; behind what is scanned stands what the body reads from
 * around it.
 */
function stateCount(node: Node): number {
  return subgraphOf(node, 'body').inputs.length - intOf(node.attributes, 'num_scan_inputs', 0)
}

/** The Loop's outputs, and those of the Scan's that are to be turned round. */
function turnedOutputs(node: Node, states: number): { results: string[]; turned: string[] } {
  if ((intsOf(node.attributes, 'scan_output_axes') ?? []).some((axis) => axis !== 0)) {
    throw new SwarmError(
      'MODEL_UNSUPPORTED',
      `Scan (node '${node.name}') joins its turns along another dimension than the first`,
      { hint: 'Scan along the first dimension and transpose the result.' },
    )
  }
  const directions = intsOf(node.attributes, 'scan_output_directions') ?? []
  const isTurned = (output: string, index: number) => output !== '' && directions[index - states] === 1
  return {
    results: node.outputs.map((output, index) => (isTurned(output, index) ? `${output}/forwards` : output)),
    turned: node.outputs.filter(isTurned),
  }
}

/** A node of ONNX's own set with one output, which names it. */
function step(
  opType: string,
  inputs: readonly string[],
  output: string,
  attributes: Node['attributes'] = {},
): Node {
  return { opType, domain: '', name: output, inputs, outputs: [output], attributes }
}
