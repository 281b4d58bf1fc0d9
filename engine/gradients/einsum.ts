/**
 * Einsum, spelled out as transposes and matrix products, two operands at a time from the left.
 *
 * Each dimension of an operand has a label. For a pair of operands a label is *batch* (in both, and needed later),
 * *inner* (in both, and summed), *left* or *right* (in one only). Transposed to [batch, left, inner] and [batch, inner,
 * right] the pair is one batched product. A dimension of size one that broadcasts counts as absent.
 */

import { assert } from '../../protocols/core/assert.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { textOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { spelled, type Use } from './rule.ts'

export const einsum = {
  Einsum: spelled(({ f, x, attributes }: Use) => {
    const { operands, output } = parse(textOf(attributes, 'equation', ''), x)
    const sizes = new Map<string, number>()
    for (const { labels, value } of operands) {
      for (const [axis, label] of labels.entries()) {
        if ((sizes.get(label) ?? 1) === 1) sizes.set(label, value.shape[axis]!)
      }
    }
    const reduced = operands.map((operand) => withoutBroadcast(f, withoutRepeats(f, operand), sizes))
    const product = reduced.reduce((left, right, index) => {
      const later = reduced.slice(index + 1).flatMap(({ labels }) => labels)
      return contract(f, left, right, new Set([...output, ...later]))
    })
    const summed = sumOut(f, product, (label) => output.includes(label))
    const ordered = permuted(
      f,
      summed,
      output.filter((label) => summed.labels.includes(label)),
    )
    const kept = output.map((label) => (summed.labels.includes(label) ? sizes.get(label)! : 1))
    return f.expand(
      f.reshape(ordered.value, kept),
      output.map((label) => sizes.get(label)!),
    )
  }),
} as const

/** A tensor whose dimensions have labels: a letter, or `.n` for dimension n of an ellipsis, counted from its end. */
interface Labelled {
  readonly value: Value
  readonly labels: readonly string[]
}

function parse(equation: string, x: readonly Value[]): { operands: Labelled[]; output: string[] } {
  const [terms = '', result] = equation.replaceAll(' ', '').split('->')
  const operands = terms.split(',').map((term, index) => {
    const value = x[index]!
    return { value, labels: labelsOf(term, value.shape.length) }
  })
  const width = Math.max(0, ...operands.map(({ labels }) => labels.filter(isEllipsis).length))
  const letters = (result ?? '').replace('...', '').length
  if (result !== undefined) {
    return { operands, output: labelsOf(result, letters + (result.includes('...') ? width : 0)) }
  }
  const all = operands.flatMap(({ labels }) => labels)
  const single = all.filter((label) => !isEllipsis(label) && all.indexOf(label) === all.lastIndexOf(label))
  return { operands, output: [...labelsOf('...', width), ...single.sort()] }
}

function labelsOf(term: string, rank: number): string[] {
  const [before, after] = term.split('...')
  if (after === undefined) return [...term]
  const width = rank - before!.length - after.length
  return [...before!, ...Array.from({ length: width }, (_, index) => `.${width - 1 - index}`), ...after]
}

const isEllipsis = (label: string) => label.startsWith('.')

/** A label that an operand has twice is its diagonal: times an identity matrix, summed over one of the two. */
function withoutRepeats(f: Formulas, { value, labels }: Labelled): Labelled {
  const axis = labels.findIndex((label, index) => labels.indexOf(label) < index)
  if (axis < 0) return { value, labels }
  const first = labels.indexOf(labels[axis]!)
  const size = value.shape[axis]!
  const identity = new Float32Array(size * size)
  for (let index = 0; index < size; index++) identity[index * (size + 1)] = 1
  const shape = labels.map((_, index) => (index === axis || index === first ? size : 1))
  const diagonal = f.reduceSum(f.mul(value, f.tensor(identity, shape)), [axis])
  return withoutRepeats(f, { value: diagonal, labels: labels.toSpliced(axis, 1) })
}

function withoutBroadcast(
  f: Formulas,
  { value, labels }: Labelled,
  sizes: ReadonlyMap<string, number>,
): Labelled {
  const kept = labels.filter((label, axis) => value.shape[axis] === sizes.get(label))
  const shape = kept.map((label) => sizes.get(label)!)
  return { value: f.reshape(value, shape), labels: kept }
}

/** The product of a pair, summed over the labels that neither the output nor a later operand has. */
function contract(f: Formulas, left: Labelled, right: Labelled, needed: ReadonlySet<string>): Labelled {
  const a = sumOut(f, left, (label) => needed.has(label) || right.labels.includes(label))
  const b = sumOut(f, right, (label) => needed.has(label) || left.labels.includes(label))
  const shared = a.labels.filter((label) => b.labels.includes(label))
  const batch = shared.filter((label) => needed.has(label))
  const inner = shared.filter((label) => !needed.has(label))
  const rows = a.labels.filter((label) => !shared.includes(label))
  const columns = b.labels.filter((label) => !shared.includes(label))
  const sizes = new Map([...a.labels.entries()].map(([axis, label]) => [label, a.value.shape[axis]!]))
  for (const [axis, label] of b.labels.entries()) sizes.set(label, b.value.shape[axis]!)
  const shapeOf = (labels: readonly string[]) => labels.map((label) => sizes.get(label)!)
  const count = (labels: readonly string[]) => sizeOf(shapeOf(labels))
  const lead = batch.length === 0 ? [] : [count(batch)]
  const x = f.reshape(permuted(f, a, [...batch, ...rows, ...inner]).value, [
    ...lead,
    count(rows),
    count(inner),
  ])
  const y = f.reshape(permuted(f, b, [...batch, ...inner, ...columns]).value, [
    ...lead,
    count(inner),
    count(columns),
  ])
  const labels = [...batch, ...rows, ...columns]
  return { value: f.reshape(inner.length === 0 ? f.mul(x, y) : f.matmul(x, y), shapeOf(labels)), labels }
}

function sumOut(f: Formulas, { value, labels }: Labelled, isKept: (label: string) => boolean): Labelled {
  const axes = labels.flatMap((label, axis) => (isKept(label) ? [] : [axis]))
  if (axes.length === 0) return { value, labels }
  return { value: f.reduceSum(value, axes), labels: labels.filter(isKept) }
}

function permuted(f: Formulas, { value, labels }: Labelled, order: readonly string[]): Labelled {
  assert(order.length === labels.length, `[${labels}] in the order [${order}]`)
  return {
    value: f.transpose(
      value,
      order.map((label) => labels.indexOf(label)),
    ),
    labels: order,
  }
}
