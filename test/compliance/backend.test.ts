/**
 * One suite, every backend: what `Backend` promises, with values. Gradients of whole models against PyTorch are
 * compared in backend-gradients.test.ts.
 */
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { Executable } from '../../engine/backends/backend.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { Tensor } from '../../protocols/core/tensor.ts'
import { backends, chromiumRows } from './backends.ts'
import { ChromiumBackends } from './chromium/browser.ts'
import { model } from './graphs.ts'

const f32 = (shape: number[], ...values: number[]): Tensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
})

/** p_next = p * rate; y = x · p. With p carried this is a training step in small. */
const decay = model({
  inputs: {
    x: { dtype: 'float32', shape: [1, 2] },
    p: { dtype: 'float32', shape: [2, 2] },
    rate: { dtype: 'float32', shape: [] },
  },
  outputs: ['y', 'p_next'],
  nodes: [
    { op: 'MatMul', inputs: ['x', 'p'], outputs: ['y'] },
    { op: 'Mul', inputs: ['p', 'rate'], outputs: ['p_next'] },
  ],
})

/** y = x as the shape s asks: fails while running when they do not fit. p is carried, and doubled first. */
const reshape = model({
  inputs: {
    x: { dtype: 'float32', shape: ['n'] },
    p: { dtype: 'float32', shape: [2] },
  },
  outputs: ['y', 'p_next'],
  constants: { s: [2, 2] },
  nodes: [
    { op: 'Add', inputs: ['p', 'p'], outputs: ['p_next'] },
    { op: 'Reshape', name: 'fold', inputs: ['x', 's'], outputs: ['y'] },
  ],
})

async function carried(executable: Executable, name: string, length: number): Promise<number[]> {
  const into = new Float32Array(length)
  await executable.state.read(name, into)
  return [...into]
}

async function failureOf(promise: Promise<unknown>): Promise<SwarmError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SwarmError)
  return error as SwarmError
}

// A software device compiles each shader for seconds when other programs want the cores too.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })

const chromium = new ChromiumBackends()

afterAll(() => chromium.close())

describe.each([...backends, ...chromiumRows(chromium)])(
  'backend $title',
  ({ open, namesFailingNode, isRemote }) => {
    it('returns the values of every output, also when inputs are views into larger arrays', async () => {
      const executable = await (await open()).compile(decay)
      const larger = Float32Array.from([9, 9, 9, 1, 2, 3, 4, 9])
      const p: Tensor = { dtype: 'float32', shape: [2, 2], data: larger.subarray(3, 7) }
      const { y, p_next } = await executable.run({ x: f32([1, 2], 10, 100), p, rate: f32([], 0.5) })
      expect(y).toEqual(f32([1, 2], 310, 420))
      expect(p_next).toEqual(f32([2, 2], 0.5, 1, 1.5, 2))
      await executable.release()
    })

    it('takes and returns int32', async () => {
      const gather = model({
        inputs: { i: { dtype: 'int32', shape: [3] } },
        outputs: ['y'],
        nodes: [{ op: 'Add', inputs: ['i', 'i'], outputs: ['y'] }],
      })
      const executable = await (await open()).compile(gather)
      const i: Tensor = { dtype: 'int32', shape: [3], data: Int32Array.of(-1, 0, 2 ** 30 - 1) }
      expect((await executable.run({ i })).y!.data).toEqual(Int32Array.of(-2, 0, 2 ** 31 - 2))
      await executable.release()
    })

    it('compares between transposes, which onnxruntime would move behind the comparison', async () => {
      const compare = model({
        inputs: {
          x: { dtype: 'float32', shape: [1, 2, 3] },
          d: { dtype: 'float32', shape: [6] },
          zero: { dtype: 'float32', shape: [] },
        },
        outputs: ['y'],
        constants: { turned: [2, 3, 1] },
        nodes: [
          { op: 'Transpose', inputs: ['x'], outputs: ['t'], attributes: { perm: [1, 2, 0] } },
          { op: 'Greater', inputs: ['t', 'zero'], outputs: ['isPositive'] },
          { op: 'Reshape', inputs: ['d', 'turned'], outputs: ['e'] },
          { op: 'Neg', inputs: ['e'], outputs: ['n'] },
          { op: 'Where', inputs: ['isPositive', 'e', 'n'], outputs: ['w'] },
          { op: 'Transpose', inputs: ['w'], outputs: ['y'], attributes: { perm: [2, 0, 1] } },
        ],
      })
      const executable = await (await open()).compile(compare)
      const x = f32([1, 2, 3], 1, -1, 1, -1, -1, 1)
      const { y } = await executable.run({ x, d: f32([6], 1, 2, 3, 4, 5, 6), zero: f32([], 0) })
      expect(y).toEqual(f32([1, 2, 3], 1, -2, 3, -4, -5, 6))
      await executable.release()
    })

    it('writes an output into the array it is given, and nowhere else', async () => {
      const executable = await (await open()).compile(decay)
      const larger = new Float32Array(6).fill(7)
      const into = { p_next: larger.subarray(1, 5) }
      const p = f32([2, 2], 1, 2, 3, 4)
      const { p_next } = await executable.run({ x: f32([1, 2], 0, 0), p, rate: f32([], 2) }, { into })
      expect([...larger]).toEqual([7, 2, 4, 6, 8, 7])
      expect(p_next!.data).toBe(into.p_next)
      await executable.release()
    })

    it('gives each run its own arrays', async () => {
      const executable = await (await open()).compile(decay)
      const p = f32([2, 2], 1, 2, 3, 4)
      const first = await executable.run({ x: f32([1, 2], 1, 0), p, rate: f32([], 1) })
      await executable.run({ x: f32([1, 2], 0, 1), p, rate: f32([], 1) })
      expect(first.y).toEqual(f32([1, 2], 1, 2))
      await executable.release()
    })

    it('carries state from run to run', async () => {
      const executable = await (await open()).compile(decay, { carry: { p_next: 'p' } })
      await executable.state.write('p', f32([2, 2], 8, 16, 24, 32))
      const x = f32([1, 2], 1, 0)
      const seen: number[] = []
      for (let i = 0; i < 3; i++) {
        const outputs = await executable.run({ x, rate: f32([], 0.5) })
        expect(Object.keys(outputs)).toEqual(['y'])
        seen.push(outputs.y!.data[0]!)
      }
      expect(seen).toEqual([8, 4, 2])
      expect(await carried(executable, 'p', 4)).toEqual([1, 2, 3, 4])
      await executable.release()
    })

    it('copies carried state on the way in', async () => {
      const executable = await (await open()).compile(decay, { carry: { p_next: 'p' } })
      for (const start of [f32([2, 2], 1, 1, 1, 1), f32([2, 2], 2, 2, 2, 2)]) {
        await executable.state.write('p', start)
        start.data.fill(-1)
      }
      await executable.run({ x: f32([1, 2], 1, 0), rate: f32([], 3) })
      expect(await carried(executable, 'p', 4)).toEqual([6, 6, 6, 6])
      await executable.release()
    })

    it('shares state between graphs, and keeps it when the graph that wrote it is released', async () => {
      const backend = await open()
      const state = backend.newState()
      await state.write('p', f32([2, 2], 8, 16, 24, 32))
      const writer = await backend.compile(decay, { carry: { p_next: 'p' }, state })
      await writer.run({ x: f32([1, 2], 1, 0), rate: f32([], 0.5) })
      await writer.release()
      const reader = await backend.compile(decay, { state })
      const { y, p_next } = await reader.run({ x: f32([1, 2], 0, 1), rate: f32([], 1) })
      expect([y, p_next]).toEqual([f32([1, 2], 12, 16), f32([2, 2], 4, 8, 12, 16)])
      const into = new Float32Array(4)
      await state.read('p', into)
      expect([...into]).toEqual([4, 8, 12, 16])
      await reader.release()
      await state.release()
    })

    it('leaves carried state as it was when the output that decides is not finite', async () => {
      const executable = await (await open()).compile(decay, { carry: { p_next: 'p' }, unlessNotFinite: 'y' })
      await executable.state.write('p', f32([2, 2], 8, 16, 24, 32))
      const runs: [number, number[]][] = []
      for (const [x, rate] of [
        [Number.POSITIVE_INFINITY, 3],
        [1, 0.5],
        [Number.NaN, 5],
        [1, 0.5],
      ] as const) {
        const { y } = await executable.run({ x: f32([1, 2], x, 0), rate: f32([], rate) })
        runs.push([y!.data[0]!, await carried(executable, 'p', 4)])
      }
      expect(runs.map(([y]) => Number.isFinite(y))).toEqual([false, true, false, true])
      expect(runs.map(([, p]) => p)).toEqual([
        [8, 16, 24, 32],
        [4, 8, 12, 16],
        [4, 8, 12, 16],
        [2, 4, 6, 8],
      ])
      await executable.release()
    })

    it('leaves carried state as it was when a run fails, and names the failure', async () => {
      const executable = await (await open()).compile(reshape, { carry: { p_next: 'p' } })
      await executable.state.write('p', f32([2], 3, 5))
      await failureOf(executable.run({ x: f32([5], 1, 2, 3, 4, 5) }))
      const error = await failureOf(executable.run({ x: f32([3], 1, 2, 3) }))
      expect(error.code).toBe('BACKEND_FAILED')
      expect(error.message.includes("Reshape node 'fold'")).toBe(namesFailingNode)
      expect(error.message).toMatch(/cannot be reshaped|input_shape_size/)
      expect(await carried(executable, 'p', 2)).toEqual([3, 5])
      await executable.run({ x: f32([4], 1, 2, 3, 4) })
      expect(await carried(executable, 'p', 2)).toEqual([6, 10])
      await executable.release()
    })

    it('runs overlapping calls one after another', async () => {
      const executable = await (await open()).compile(decay, { carry: { p_next: 'p' } })
      await executable.state.write('p', f32([2, 2], 1, 0, 0, 1))
      const x = f32([1, 2], 1, 0)
      const runs = [2, 3, 5].map((rate) => executable.run({ x, rate: f32([], rate) }))
      expect((await Promise.all(runs)).map(({ y }) => y!.data[0])).toEqual([1, 2, 6])
      expect(await carried(executable, 'p', 4)).toEqual([30, 0, 0, 30])
      await executable.release()
    })

    // a signal does not cross the wire to a browser: there it is the worker's caller that stops
    if (!isRemote) {
      it('does not start a run that was cancelled while it waited', async () => {
        const executable = await (await open()).compile(decay, { carry: { p_next: 'p' } })
        await executable.state.write('p', f32([2, 2], 1, 0, 0, 1))
        const feeds = { x: f32([1, 2], 1, 0), rate: f32([], 2) }
        const controller = new AbortController()
        const [first, second] = [executable.run(feeds), executable.run(feeds, { signal: controller.signal })]
        controller.abort(new Error('enough'))
        await expect(second).rejects.toThrow('enough')
        await first
        expect(await carried(executable, 'p', 4)).toEqual([2, 0, 0, 2])
        await executable.release()
      })
    }

    it('infers the types of untyped outputs, through shape arithmetic, and says what it cannot know', async () => {
      const bytes = model({
        inputs: { x: { dtype: 'float32', shape: [2, 3, 4] }, z: { dtype: 'float32', shape: ['n', 5] } },
        outputs: ['flat', 'at', 'shape', 'open'],
        constants: { tail: [-1], first: [0] },
        nodes: [
          { op: 'Shape', inputs: ['x'], outputs: ['shape'] },
          { op: 'Gather', inputs: ['shape', 'first'], outputs: ['batch'] },
          { op: 'Concat', inputs: ['batch', 'tail'], outputs: ['target'], attributes: { axis: 0 } },
          { op: 'Reshape', inputs: ['x', 'target'], outputs: ['flat'] },
          { op: 'ArgMax', inputs: ['flat'], outputs: ['at'], attributes: { axis: 1, keepdims: 0 } },
          { op: 'Relu', inputs: ['z'], outputs: ['open'] },
        ],
      })
      const types = await (await open()).inferTypes(bytes)
      expect(Object.fromEntries(types)).toEqual({
        flat: { dtype: 'float32', shape: [2, 12] },
        at: { dtype: 'int64', shape: [2] },
        shape: { dtype: 'int64', shape: [3] },
        open: { dtype: 'float32', shape: [-1, 5] },
      })
    })

    it('evaluates graphs without inputs, in dtypes that training graphs lack', async () => {
      const bytes = model({
        outputs: ['sum', 'is_less'],
        constants: { a: [1, 2 ** 40], b: [5, 7] },
        nodes: [
          { op: 'Add', inputs: ['a', 'b'], outputs: ['sum'] },
          { op: 'Less', inputs: ['a', 'b'], outputs: ['is_less'] },
        ],
      })
      const values = await (await open()).evaluateConstants(bytes)
      expect(values.get('sum')).toEqual({
        dtype: 'int64',
        shape: [2],
        data: BigInt64Array.of(6n, 2n ** 40n + 7n),
      })
      expect(values.get('is_less')).toEqual({ dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) })
    })

    it.each([
      ['bytes that are no model', new Uint8Array(100).fill(7), 'MODEL_INVALID'],
      [
        'an operator that does not exist',
        model({
          inputs: { x: { dtype: 'float32', shape: [1] } },
          outputs: ['y'],
          nodes: [{ op: 'Frobnicate', inputs: ['x'], outputs: ['y'] }],
        }),
        'MODEL_UNSUPPORTED',
      ],
    ])('refuses %s', async (_what, bytes, code) => {
      const error = await failureOf((await open()).compile(bytes))
      expect(error.code).toBe(code)
      expect(error.hint).toMatch(/Export the model/)
    })

    it('reports a graph too large for memory as such, and goes on working', async () => {
      const huge = model({
        inputs: { x: { dtype: 'float32', shape: [1] } },
        outputs: ['y'],
        constants: { s: [2 ** 15, 2 ** 15, 2 ** 6] }, // 256 GiB
        nodes: [{ op: 'Expand', inputs: ['x', 's'], outputs: ['y'] }],
      })
      const backend = await open()
      const executable = await backend.compile(huge)
      const error = await failureOf(executable.run({ x: f32([1], 1) }))
      expect(error.code, error.message).toBe('OUT_OF_MEMORY')
      const small = await backend.compile(decay)
      const { y } = await small.run({ x: f32([1, 2], 1, 1), p: f32([2, 2], 1, 2, 3, 4), rate: f32([], 1) })
      expect(y).toEqual(f32([1, 2], 4, 6))
      await Promise.all([executable.release(), small.release()])
    })
  },
)
