/**
 * An ONNX graph in memory: nodes in execution order, constants by name, typed inputs, named outputs.
 *
 * Plain immutable data. Reading and writing files is read.ts and write.ts; making graphs with known shapes is
 * graph-builder.ts. Subgraphs (of If, Loop and Scan) are carried as attributes until import has put their nodes in
 * their place.
 */
import type { Constant, ElementType } from './types.ts'

export type Attribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: Constant }
  | { readonly kind: 'graph'; readonly value: Subgraph }
  /** Of a kind that this engine does not carry. */
  | { readonly kind: 'opaque' }

export type Attributes = Readonly<Record<string, Attribute>>

export interface Node {
  readonly opType: string
  /** '' is ONNX's own operator set. */
  readonly domain: string
  readonly name: string
  /** Value names; '' is an optional input left out. */
  readonly inputs: readonly string[]
  /** Value names; '' is an output nobody reads. */
  readonly outputs: readonly string[]
  readonly attributes: Attributes
}

/** The body of a loop or a branch. It may read values of the graph around it by their names. */
export interface Subgraph {
  readonly nodes: readonly Node[]
  readonly constants: ReadonlyMap<string, Constant>
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}

/** An input of a graph as its file declares it. A dimension is a number, or the name the exporter gave an open one. */
export interface GraphInput {
  readonly name: string
  readonly dtype: ElementType
  readonly shape: readonly (number | string)[]
}

export interface Graph {
  readonly nodes: readonly Node[]
  readonly constants: ReadonlyMap<string, Constant>
  readonly inputs: readonly GraphInput[]
  readonly outputs: readonly string[]
}

/**
 * The values that detaches made; `dropped` when the exporter took some out again, null when the file does not tell.
 */
export type Detached = ReadonlySet<string> | 'dropped' | null

export interface Model {
  /** Version of ONNX's own operator set. */
  readonly opset: number
  readonly graph: Graph
  /** Shapes of the outputs, of those that the file declares. */
  readonly outputShapes: ReadonlyMap<string, readonly (number | string)[]>
  /** What PyTorch's exporter noted about each constant: PARAMETER, BUFFER, ...; empty for other exporters. */
  readonly roles: ReadonlyMap<string, string>
  /** What the module detached (detached.ts). */
  readonly detached: Detached
}

export const int = (value: number): Attribute => ({ kind: 'int', value })
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value })
export const float = (value: number): Attribute => ({ kind: 'float', value })
export const text = (value: string): Attribute => ({ kind: 'string', value })

/** A node of ONNX's own set with one output, which names it. */
export function oneOutput(
  opType: string,
  inputs: readonly string[],
  output: string,
  attributes: Attributes = {},
): Node {
  return { opType, domain: '', name: output, inputs, outputs: [output], attributes }
}

/**
 * Stands in every name that this engine makes from a file's, and in none of a file: unique-names.ts refuses those, so
 * no made value or node can take the place of a file's.
 */
export const madeMark = '~>'

/** The name of what is made for the value `owner` as its `part`, one word for each thing that an operator makes. */
export function madeName(owner: string, part: string | number): string {
  return `${owner}${madeMark}${part}`
}

/** The name of the first output that `node` has: no other node's, where names of nodes may be. */
export function firstOutput({ outputs }: Node): string {
  return outputs.find((name) => name !== '') ?? ''
}

/** A value of a node: its name, or what bears it; null or '' is one left out. */
type Named = string | { readonly name: string } | null

function nameOf(value: Named): string {
  return typeof value === 'string' ? value : (value?.name ?? '')
}

/**
 * Those of `nodes`, in execution order, that the values `needed` need. `needed` takes in the names of all that they
 * read.
 */
export function neededNodes<
  Found extends { readonly inputs: readonly Named[]; readonly outputs: readonly Named[] },
>(nodes: readonly Found[], needed: Set<string>): Found[] {
  needed.delete('')
  const kept: Found[] = []
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((value) => needed.has(nameOf(value)))) continue
    kept.push(node)
    for (const input of node.inputs) if (nameOf(input) !== '') needed.add(nameOf(input))
  }
  return kept.reverse()
}

/** The integer attribute `name` of `attributes`, or `otherwise` (the specification's default) when absent. */
export function intOf(attributes: Attributes, name: string, otherwise: number): number {
  const attribute = attributes[name]
  return attribute?.kind === 'int' ? attribute.value : otherwise
}

/** As {@link intOf}, for a float. */
export function floatOf(attributes: Attributes, name: string, otherwise: number): number {
  const attribute = attributes[name]
  return attribute?.kind === 'float' ? attribute.value : otherwise
}

/** As {@link intOf}, for a list of integers; null when absent. */
export function intsOf(attributes: Attributes, name: string): readonly number[] | null {
  const attribute = attributes[name]
  return attribute?.kind === 'ints' ? attribute.value : null
}

/** As {@link intOf}, for a string. */
export function textOf(attributes: Attributes, name: string, otherwise: string): string {
  const attribute = attributes[name]
  return attribute?.kind === 'string' ? attribute.value : otherwise
}
