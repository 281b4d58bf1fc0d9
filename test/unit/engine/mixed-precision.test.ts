/**
 * The pass that writes a training graph in float16: which nodes it leaves in full, where it casts, and what the
 * rounding costs. Values are computed by rounding on a CPU; that WebGPU has kernels for what is written there is tried
 * by loading it.
 */
import { describe, expect, it } from 'vitest'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder, type TypedNode, type Value } from '../../../engine/graph/graph-builder.ts'
import { halfTermsMax } from '../../../engine/precision/classes.ts'
import { mixedPrecision } from '../../../engine/precision/mixed.ts'

const f32 = (...shape: number[]) => ({ dtype: 'float32', shape }) as const

/**
 * The nodes of a graph in half, as `Op(types) type`, in order: what `build` makes of inputs x `[2, 8]` and w `[8, 8]`.
 */
function written(
  build: (f: Formulas, x: Value, w: Value) => Value | Value[],
  pinned: string[] = [],
): string[] {
  const builder = new GraphBuilder(18)
  const f = new Formulas(builder)
  const inputs = [builder.input('x', f32(2, 8)), builder.input('w', f32(8, 8))] as const
  const outputs = [build(f, ...inputs)].flat()
  const pinnedNodes = new Set(builder.nodes.filter(({ opType }) => pinned.includes(opType)))
  const mixed = mixedPrecision({ builder, inputs, outputs, pinned: pinnedNodes }, 'computed')
  for (const output of outputs) expect(mixed.of(output).dtype).toBe('float32')
  return mixed.f.builder.nodes.map(textOf)
}

const short = { float32: 'f32', float16: 'f16' } as Readonly<Record<string, string>>
const typeText = (value: Value | null) => (value === null ? '-' : (short[value.dtype] ?? value.dtype))
const textOf = ({ opType, inputs, outputs }: TypedNode) =>
  `${opType}(${inputs.map(typeText).join(', ')}) ${outputs.map(typeText).join(', ')}`

describe('a training graph in float16', () => {
  it('computes products and what follows them in half, each parameter cast once, and gives float32', () => {
    const nodes = written((f, x, w) => f.matmul(f.unary('Relu', f.matmul(f.matmul(x, w), w)), w))
    expect(nodes).toEqual([
      'Cast(f32) f16', // x
      'Cast(f32) f16', // w
      'MatMul(f16, f16) f16',
      'MatMul(f16, f16) f16',
      'Relu(f16) f16',
      'MatMul(f16, f16) f16',
      'Cast(f16) f32',
    ])
  })

  it('computes what leaves the range and what adds up in full, and goes on in half where it can', () => {
    const last = (build: (f: Formulas, y: Value, w: Value) => Value) =>
      written((f, x, w) => build(f, f.matmul(x, w), w)).slice(3)
    expect(last((f, y) => f.exp(f.mul(y, 0.5)))).toEqual([
      'Mul(f16, f16) f16',
      'Cast(f16) f32',
      'Exp(f32) f32',
    ])
    expect(last((f, y) => f.reduceSum(f.sub(f.exp(y), 1), [1]))).toEqual([
      'Cast(f16) f32',
      'Exp(f32) f32',
      'Sub(f32, f32) f32',
      'ReduceSum(f32, int64) f32',
    ])
    expect(last((f, y, w) => f.matmul(f.mul(y, y), w))).toEqual([
      'Cast(f16) f32',
      'Mul(f32, f32) f32', // a square is a power
      'Cast(f32) f16',
      'MatMul(f16, f16) f16',
      'Cast(f16) f32',
    ])
  })

  it('adds up in full what becomes an output', () => {
    const sumOf = (build: (f: Formulas, sum: Value, w: Value) => Value) =>
      written((f, x, w) => {
        const [a, b] = [f.matmul(x, w), f.matmul(f.neg(x), w)]
        return build(f, f.reshape(f.add(f.add(a, b), a), [4, 4]), w)
      }).filter((text) => text.startsWith('Add'))
    expect(sumOf((_, sum) => sum)).toEqual(['Add(f32, f32) f32', 'Add(f32, f32) f32'])
    expect(sumOf((f, sum) => f.matmul(sum, sum))).toEqual(['Add(f16, f16) f16', 'Add(f16, f16) f16'])
  })

  it('hands a softmax on in half, and casts nothing there and back', () => {
    const nodes = written((f, x, w) => {
      const y = f.softmax(f.matmul(x, w), 1)
      return f.matmul(f.add(y, y), w)
    })
    expect(nodes.slice(3)).toEqual([
      'Cast(f16) f32',
      'Softmax(f32) f32',
      'Cast(f32) f16',
      'Add(f16, f16) f16',
      'MatMul(f16, f16) f16',
      'Cast(f16) f32',
    ])
  })

  it('lets a statistic join the activations, and not widen them', () => {
    const nodes = written((f, x, w) => {
      const y = f.matmul(x, w)
      return f.matmul(f.sub(y, f.reduceMean(y, [1], true)), w)
    })
    expect(nodes.slice(3)).toEqual([
      'Cast(f16) f32',
      'ReduceMean(f32, int64) f32',
      'Cast(f32) f16',
      'Sub(f16, f16) f16',
      'MatMul(f16, f16) f16',
      'Cast(f16) f32',
    ])
  })

  it('keeps a node in full whose constant half cannot hold', () => {
    const opOf = (constant: number) =>
      written((f, x, w) => f.matmul(f.add(f.matmul(x, w), constant), w)).find((text) =>
        text.startsWith('Add'),
      )
    expect([1, -65_504, 6.2e-5, Number.NEGATIVE_INFINITY].map(opOf)).toEqual(
      Array(4).fill('Add(f16, f16) f16'),
    )
    expect([-1e9, 1e-6].map(opOf)).toEqual(Array(2).fill('Add(f32, f32) f32'))
  })

  it('adds up a product of many terms in full, and hands it on in half', () => {
    const productOf = (terms: number) =>
      written((f, x, w) => {
        const wide = f.expand(f.reshape(f.matmul(x, w), [16, 1]), [16, terms / 8])
        const long = f.reshape(wide, [2, terms])
        return f.matmul(f.matmul(long, f.transposeMatrix(long)), f.matmul(x, w))
      }).filter((text) => text.startsWith('MatMul'))
    expect(productOf(halfTermsMax)[1]).toBe('MatMul(f16, f16) f16')
    const summed = written((f, x, w) =>
      f.reduceSum(f.matmul(f.expand(f.reshape(x, [1, 2, 8]), [200, 2, 8]), w), [0]),
    )
    expect(summed.filter((text) => text.startsWith('MatMul'))).toEqual(['MatMul(f32, f32) f32']) // 200 times 8
    expect(productOf(halfTermsMax + 8).slice(1)).toEqual(['MatMul(f32, f32) f32', 'MatMul(f16, f16) f16'])
  })

  it('takes masks and fillings in the type of what they meet', () => {
    const nodes = written((f, x, w) => {
      const y = f.matmul(x, w)
      const mask = f.cast(f.greater(y, 0), 'float32')
      return f.matmul(f.mul(f.where(f.greater(y, 1), y, f.full([2, 8], -1)), mask), w)
    })
    expect(nodes.slice(3)).toEqual([
      'Greater(f16, f16) bool',
      'Greater(f16, f16) bool',
      'Expand(f16, int64) f16',
      'Where(bool, f16, f16) f16',
      'Cast(bool) f16',
      'Mul(f16, f16) f16',
      'MatMul(f16, f16) f16',
      'Cast(f16) f32',
    ])
  })

  it('leaves the loss alone', () => {
    const nodes = written((f, x, w) => f.neg(f.matmul(x, w)), ['Neg', 'MatMul'])
    expect(nodes).toEqual(['MatMul(f32, f32) f32', 'Neg(f32) f32'])
  })
})
