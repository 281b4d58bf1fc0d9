/** A gradient case as a graph of one node, so that many cases fit in one model as random graphs do. */
import { drawn } from '../drawn-case.ts'
import type { GradientCase, Input } from '../gradient-case.ts'
import { evaluate } from '../reference.ts'
import type { Nd } from '../reference-array.ts'
import type { Known, RandomGraph } from './random-graph.ts'

/** The graph of `given`; `seed` tells it from others in a model. */
export function caseGraph(given: GradientCase, seed: number): RandomGraph {
  const { inputs, reference, y } = drawn(given)
  const known = given.inputs.map((input, index) => knownInput(input, inputs[index], index))
  const result = (data: Nd, name: string): Known => ({ ...data, kind: 'result', dtype: 'float32', name })
  const output = result(y, `h${given.read}`)
  const outputs = Array.from({ length: given.outputs }, (_, read) => {
    if (read === given.read) return output
    return given.op === 'Split'
      ? result(evaluate(given.op, inputs, { ...reference, read }), `h${read}`)
      : null
  })
  const of = (kind: Known['kind']) => known.filter((value): value is Known => value?.kind === kind)
  return {
    seed,
    nodes: [{ op: given.op, inputs: known, attributes: given.attributes, outputs }],
    parameters: of('parameter'),
    constants: of('constant'),
    output,
  }
}

function knownInput(input: Input, value: Nd | undefined, index: number): Known | null {
  if (input.kind === 'none' || value === undefined) return null
  const dtype = input.kind === 'constant' ? input.dtype : 'float32'
  return { ...value, kind: input.kind, dtype, name: `${input.kind === 'constant' ? 'c' : 'p'}${index}` }
}
