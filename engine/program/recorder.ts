/**
 * Keeps account of the forward nodes that the backward pass has to visit, while a model is put into a builder.
 */
import type { Formulas } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'

/**
 * A node's outputs in the graph. Spelled out: several nodes compute them, and the operator's own rule differentiates
 * them.
 */
export interface Form {
  readonly outputs: readonly (Value | null)[]
  readonly isSpelledOut?: boolean
}

/**
 * Tells which of a builder's nodes are to be differentiated. The parts of an operator with formulas of its own are not:
 * the operator stands for them. Because the builder makes equal nodes once, a later operator may turn out to be made of
 * such parts; then they are needed after all.
 */
export class Recorder {
  private readonly f: Formulas
  private seen: number
  /** Parts of operators that stand for themselves, by their output. */
  private readonly hidden = new Map<string, TypedNode>()

  constructor(f: Formulas) {
    this.f = f
    this.seen = f.builder.nodes.length
  }

  /**
   * The nodes made since the last call for `outputs`, in execution order; or `operator`, when it is to stand for them.
   */
  made(outputs: readonly (Value | null)[], operator: TypedNode | null): TypedNode[] {
    const parts = this.f.builder.nodes.slice(this.seen)
    this.seen += parts.length
    if (operator === null || parts.length === 0) {
      return [...parts.flatMap((part) => [...this.revealed(part.inputs), part]), ...this.revealed(outputs)]
    }
    for (const part of parts) for (const output of part.outputs) this.hidden.set(output!.name, part)
    for (const output of outputs) if (output !== null) this.hidden.delete(output.name)
    return [operator]
  }

  /** The hidden nodes that make `values`, before their readers. */
  private revealed(values: readonly (Value | null)[]): TypedNode[] {
    return values.flatMap((value) => {
      const part = value === null ? undefined : this.hidden.get(value.name)
      if (part === undefined) return []
      this.hidden.delete(value!.name)
      return [...this.revealed(part.inputs), part]
    })
  }
}
