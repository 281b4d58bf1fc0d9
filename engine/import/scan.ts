/**
 * A Scan as a Loop (ONNX, Operators.md, Scan): each turn takes one slice of each scanned input, and what the turns make
 * is joined along a new first dimension. control.ts takes the Loop apart.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { firstOutput, int, intOf, intsOf, madeName, type Node, oneOutput } from '../onnx/graph.ts'
import { type Constant, int64Constant } from '../onnx/types.ts'
import { checkTurns, type Inlined, subgraphOf } from './control.ts'

/** The first input of `node` that is scanned, and the axis: its size is the number of turns. */
export function scannedInput(node: Node): { name: string; axis: number } {
  const states = stateCount(node)
  return { name: node.inputs[states]!, axis: intsOf(node.attributes, 'scan_input_axes')?.[0] ?? 0 }
}

/**
 * `node` as a Loop of `turns` turns.
 * @throws {SwarmError} MODEL_UNSUPPORTED when what the turns make is joined along another dimension than the first, or
 *   are too many.
 */
export function scanAsLoop(node: Node, turns: number): Inlined {
  checkTurns(node, turns)
  const { inputs, attributes } = node
  const states = stateCount(node)
  const body = subgraphOf(node, 'body')
  const prefix = madeName(firstOutput(node), 'scan')
  const part = (name: string) => madeName(prefix, name)
  const [turn, goesOn, length] = [part('turn'), part('goes on'), part('length')]
  const scanned = inputs.slice(states, body.inputs.length)
  const { results, turned } = turnedOutputs(node, states)
  const loop: Node = {
    ...node,
    opType: 'Loop',
    inputs: [length, '', ...inputs],
    outputs: results,
    attributes: {
      body: {
        kind: 'graph',
        value: {
          nodes: [...slices(attributes, scanned, body.inputs.slice(states), prefix), ...body.nodes],
          constants: body.constants,
          inputs: [turn, goesOn, ...body.inputs.slice(0, states)],
          outputs: [goesOn, ...body.outputs],
        },
      },
    },
  }
  const backwards = turned.map((output) =>
    oneOutput('Gather', [madeName(output, 'forwards'), part('backwards')], output, { axis: int(0) }),
  )
  const constants = new Map<string, Constant>([
    [part('last'), { ...int64Constant([turns - 1]), shape: [] }],
    [length, { ...int64Constant([turns]), shape: [] }],
  ])
  if (turned.length > 0) constants.set(part('backwards'), int64Constant(countedDown(turns)))
  return { nodes: [loop, ...backwards], constants, aliases: new Map() }
}

/** Nodes that take the slices of one turn, `into`, from what is `scanned`, forwards or backwards. */
function slices(
  attributes: Node['attributes'],
  scanned: readonly string[],
  into: readonly string[],
  prefix: string,
): Node[] {
  const directions = intsOf(attributes, 'scan_input_directions') ?? []
  const axes = intsOf(attributes, 'scan_input_axes') ?? []
  const [turn, last] = [madeName(prefix, 'turn'), madeName(prefix, 'last')]
  return scanned.flatMap((name, index) => {
    const place = madeName(prefix, `place ${index}`)
    const axis = int(axes[index] ?? 0)
    const isReversed = directions[index] === 1
    const take = oneOutput('Gather', [name, isReversed ? place : turn], into[index]!, { axis })
    return isReversed ? [oneOutput('Sub', [last, turn], place), take] : [take]
  })
}

/** The numbers of `turns` turns, the last one first. */
function countedDown(turns: number): number[] {
  return Array.from({ length: turns }, (_, turn) => turns - 1 - turn)
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
    results: node.outputs.map((output, index) =>
      isTurned(output, index) ? madeName(output, 'forwards') : output,
    ),
    turned: node.outputs.filter(isTurned),
  }
}
