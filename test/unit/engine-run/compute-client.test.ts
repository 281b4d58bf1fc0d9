/**
 * The program's end of the compute boundary against a scripted worker. The real worker is in compute-worker.test.ts.
 */
import { expect, it } from 'vitest'
import { connectCompute } from '../../../engine/compute/client.ts'
import type { Compute } from '../../../engine/compute/compute.ts'
import type { Answer, Request } from '../../../engine/compute/messages.ts'
import { computeCallsMax } from '../../../protocols/core/limits.ts'
import { lineBatch } from './line-program.ts'

interface Script {
  /** What the next posts throw. */
  refuse(error: Error | null): void
  compute: Compute
  requests: Request[]
  transfers: ArrayBuffer[][]
  answer(answer: Answer): void
  die(reason: unknown): void
}

function script(): Script {
  const requests: Request[] = []
  const transfers: ArrayBuffer[][] = []
  let refusal: Error | null = null
  let answer: Script['answer'] = () => undefined
  let die: Script['die'] = () => undefined
  const compute = connectCompute({
    post: (request, transfer) => {
      if (refusal !== null) throw refusal
      requests.push(request)
      transfers.push(transfer)
    },
    onAnswer: (handler) => {
      answer = handler
    },
    onDeath: (handler) => {
      die = handler
    },
    ended: async () => undefined,
  })
  return {
    refuse: (error) => {
      refusal = error
    },
    compute,
    requests,
    transfers,
    answer: (message) => answer(message),
    die: (reason) => die(reason),
  }
}

const evaluation = { loss: 1, accuracy: 0.5, predictions: 2 }
const task = {
  mode: 'steps',
  start: Float32Array.of(1),
  batches: [lineBatch(1, 2)],
  learningRates: [0.1],
} as const

it('sends copies that hold nothing but the values, and moves their buffers', async () => {
  const { compute, requests, transfers, answer } = script()
  const larger = Float32Array.of(9, 1, 2, 9)
  const result = compute.evaluate(larger.subarray(1, 3), [lineBatch(4, 5)])
  const request = requests[0] as Extract<Request, { kind: 'evaluate' }>
  expect(request.parameters).toEqual(Float32Array.of(1, 2))
  expect(request.parameters.buffer.byteLength).toBe(8)
  expect(transfers[0]).toEqual([
    request.parameters.buffer,
    request.batches[0]!.inputs.x!.data.buffer,
    request.batches[0]!.labels.data.buffer,
  ])
  answer({ kind: 'done', id: request.id, result: evaluation })
  expect(await result).toEqual(evaluation)
})

it('matches answers to calls by id, in whatever order they come', async () => {
  const { compute, answer } = script()
  const [first, second] = [
    compute.evaluate(new Float32Array(1), []),
    compute.evaluate(new Float32Array(1), []),
  ]
  answer({ kind: 'done', id: 1, result: { ...evaluation, loss: 22 } })
  answer({ kind: 'done', id: 0, result: { ...evaluation, loss: 11 } })
  expect((await first).loss).toBe(11)
  expect((await second).loss).toBe(22)
})

it('rejects at once when cancelled, tells the worker, and is deaf to what still comes', async () => {
  const { compute, requests, answer } = script()
  const controller = new AbortController()
  const steps: number[] = []
  const result = compute.train(task, { signal: controller.signal, onStep: (index) => steps.push(index) })
  answer({ kind: 'step', id: 0, index: 0, loss: 3 })
  controller.abort(new Error('enough'))
  await expect(result).rejects.toThrow('enough')
  expect(requests.at(-1)).toEqual({ kind: 'cancel', id: 0 })
  answer({ kind: 'step', id: 0, index: 1, loss: 2 })
  answer({ kind: 'cancelled', id: 0 })
  expect(steps).toEqual([0])
})

it('sends nothing for a call that is cancelled before it starts', async () => {
  const { compute, requests } = script()
  const signal = AbortSignal.abort(new Error('too late'))
  await expect(compute.train(task, { signal })).rejects.toThrow('too late')
  expect(requests).toEqual([])
})

it("rebuilds the worker's errors, remedy and all", async () => {
  const { compute, answer } = script()
  const result = compute.train(task)
  const failure = { code: 'OUT_OF_MEMORY', message: 'no room', hint: 'Use less.', retry: 'never' } as const
  answer({ kind: 'failed', id: 0, failure })
  await expect(result).rejects.toMatchObject({ name: 'SwarmError', ...failure })
})

it.each<[string, (script: Script) => void]>([
  ['its thread ends', ({ die }) => die(new Error('exit code 134'))],
  ['it reports a bug', ({ answer }) => answer({ kind: 'crashed', message: 'exit code 134' })],
])('rejects pending and later calls with a remedy when %s', async (_what, kill) => {
  const worker = script()
  const pending = worker.compute.train(task)
  kill(worker)
  const death = {
    code: 'BACKEND_FAILED',
    message: expect.stringContaining('exit code 134'),
    hint: expect.stringContaining('Start again'),
  }
  await expect(pending).rejects.toMatchObject(death)
  await expect(worker.compute.train(task)).rejects.toMatchObject(death)
  expect(worker.requests).toHaveLength(1)
})

it('takes as many calls as its limit, refuses one more, and recovers with the first answer', async () => {
  const { compute, requests, answer } = script()
  const call = () => compute.evaluate(new Float32Array(1), [])
  const first = call()
  for (let i = 1; i < computeCallsMax; i++) void call()
  await expect(call()).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  expect(requests).toHaveLength(computeCallsMax)
  answer({ kind: 'done', id: 0, result: evaluation })
  await first
  void call()
  expect(requests).toHaveLength(computeCallsMax + 1)
})

it('counts no call that could not be posted', async () => {
  const { compute, requests, refuse } = script()
  refuse(new Error('could not be cloned'))
  for (let i = 0; i < computeCallsMax; i++) await expect(compute.train(task)).rejects.toThrow('cloned')
  refuse(null)
  void compute.train(task)
  expect(requests).toHaveLength(1)
})
