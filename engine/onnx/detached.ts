/**
 * Where no gradient flows although the values would let one: what a module had detached.
 *
 * PyTorch's newer exporter writes `x.detach()` as an Identity, and notes in its metadata what it was. Where it
 * optimises, the node is gone and the notes of others still name it. Other exporters leave no trace, but the commonest
 * use shows in the algebra: a straight-through estimate (Bengio, Léonard & Courville, "Estimating or Propagating
 * Gradients Through Stochastic Neurons", 2013) is x + (b - x).detach(), in value just b, which nobody writes for its
 * value. Without the detach its gradient would be that of b: none at all for what is rounded or picked. It is a guess:
 * b may depend on x honestly, and does so for what is rounded by a scale of its own. (b + x) - x, though, is what is left
 * of a residual sum, unless b is flat.
 *
 * In a normal form (normalise.ts) every Identity that is left is such a cut. What stands under `torch.no_grad()`, and a
 * gradient that a module defines itself, no exporter notes.
 */
import type { NodeProto } from './generated/onnx_pb.ts'
import { type Detached, madeName, type Node } from './graph.ts'

/** Where torch.onnx's exporter says which node of the module's traced graph an ONNX node is a part of. */
const noteKey = 'pkg.torch.onnx.fx_node'

/** Values, by the name that a traced graph has for them, that `detach` made, and those that a note reads. */
const madeNote = /^%(\w+) : .*torch\.ops\.aten\.detach\./
const readNote = /%(detach\w*)/g

/** What was detached in `nodes` and their subgraphs. */
export function readDetached(nodes: readonly NodeProto[]): Detached {
  const noted = [...withInner(nodes)].flatMap(({ output, metadataProps }) => {
    const note = metadataProps.find(({ key }) => key === noteKey)?.value
    return note === undefined ? [] : [{ output: output[0]!, note, made: madeNote.exec(note)?.[1] }]
  })
  const made = new Set(noted.map((one) => one.made))
  const read = noted.flatMap(({ note }) => [...note.matchAll(readNote)].map(([, name]) => name))
  if (noted.length === 0) return null
  if (!read.every((name) => made.has(name))) return 'dropped'
  return new Set(noted.flatMap(({ made, output }) => (made === undefined ? [] : [output])))
}

function* withInner(nodes: readonly NodeProto[]): Generator<NodeProto> {
  for (const node of nodes) {
    yield node
    for (const { g } of node.attribute) if (g !== undefined) yield* withInner(g.node)
  }
}

/** `nodes`, in execution order, where the difference in a straight-through estimate passes through a cut. */
export function withCuts(nodes: readonly Node[]): Node[] {
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  return nodes.flatMap((node) => {
    const index = detachedInput(node, makers)
    if (index === null) return [node]
    const name = madeName(node.outputs[0]!, 'detached')
    const cut = { opType: 'Identity', name, inputs: [node.inputs[index]!], outputs: [name], attributes: {} }
    return [
      { ...cut, domain: '' },
      { ...node, inputs: node.inputs.with(index, name) },
    ]
  })
}

/** Which of its inputs `node`, the outer operation of a straight-through estimate, had detached; null for any other. */
function detachedInput(
  { opType, inputs: [a = '', b = ''] }: Node,
  makers: ReadonlyMap<string, Node>,
): number | null {
  const madeBy = (name: string, operator: string) => {
    const maker = makers.get(name)
    return maker?.opType === operator ? maker.inputs : []
  }
  const isFlat = (name: string): boolean => {
    const maker = makers.get(name)
    if (maker?.opType === 'Cast') return isFlat(maker.inputs[0]!)
    return maker !== undefined && flat.has(maker.opType)
  }
  switch (opType) {
    case 'Add': // x + (b - x), (b - x) + x
      if (madeBy(b, 'Sub')[1] === a) return 1
      return madeBy(a, 'Sub')[1] === b ? 0 : null
    case 'Sub': {
      // x - (x - b), (b + x) - x
      if (madeBy(b, 'Sub')[0] === a) return 1
      const sum = madeBy(a, 'Add')
      return sum.includes(b) && isFlat(sum[sum[0] === b ? 1 : 0]!) ? 1 : null
    }
    default:
      return null
  }
}

/** Operators that give steps, of which nothing passes a gradient on. */
const flat: ReadonlySet<string> = new Set([
  'Round',
  'Floor',
  'Ceil',
  'Sign',
  'OneHot',
  'Equal',
  'Not',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
])
