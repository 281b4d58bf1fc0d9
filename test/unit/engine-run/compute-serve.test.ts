/** The worker's end of the compute boundary, in this thread: what it answers, and that it listens between steps. */
import { expect, it } from 'vitest'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import type { Answer, Request } from '../../../engine/compute/messages.ts'
import { type Candidates, serveCompute } from '../../../engine/compute/serve.ts'
import { modelBytes, relativeError } from '../engine/pytorch-models.ts'
import { exampleModel, seededBatch, sgdSpec } from './example-models.ts'
import { withFixedBatch } from './fixed-batch.ts'

const native: Candidates = (options) => [{ name: 'native', open: () => openNativeBackend(options) }]

/** A server whose port hands requests over only when it is given a turn, as a blocked thread's does. */
function serverOf(candidates: Candidates) {
  const answers: Answer[] = []
  const waiting: Request[] = []
  let handle: (request: Request) => void = () => undefined
  let onAnswer: () => void = () => undefined
  const server = {
    answers,
    isClosed: false,
    request: (request: Request) => handle(request),
    /** Arrives at the next turn. */
    requestLater: (request: Request) => waiting.push(request),
    /** Resolves with the first answer that `is` holds for. */
    answer: async <Kind extends Answer['kind']>(kind: Kind): Promise<Extract<Answer, { kind: Kind }>> => {
      for (;;) {
        const found = answers.find((answer) => answer.kind === kind)
        if (found !== undefined) return found as Extract<Answer, { kind: Kind }>
        await new Promise<void>((resolve) => {
          onAnswer = resolve
        })
      }
    },
  }
  serveCompute(
    {
      post: (answer) => {
        answers.push(answer)
        onAnswer()
      },
      onRequest: (handler) => {
        handle = handler
      },
      turn: async () => {
        for (const request of waiting.splice(0)) handle(request)
      },
      close: () => {
        server.isClosed = true
        onAnswer()
      },
    },
    candidates,
  )
  return server
}

const open: Extract<Request, { kind: 'open' }> = {
  kind: 'open',
  id: 0,
  model: exampleModel('glyphs/cnn.onnx'),
  spec: sgdSpec,
  options: { backend: 'native', threads: 1 },
}

async function openedServer() {
  const server = serverOf(native)
  server.request(open)
  const { result } = await server.answer('done')
  if (!('initial' in result)) throw new Error('open did not answer with a model')
  const batches = [1, 2, 3, 4].map((seed) => seededBatch(result, seed))
  const task = { mode: 'steps', start: result.initial, batches, learningRates: [0.1, 0.1, 0.1, 0.1] } as const
  server.answers.length = 0
  return { server, train: { kind: 'train', id: 7, task, wantsSteps: true } satisfies Request }
}

it('hears between two steps that its task was cancelled', async () => {
  const { server, train } = await openedServer()
  server.requestLater({ kind: 'cancel', id: 7 })
  server.request(train)
  await server.answer('cancelled')
  expect(server.answers).toEqual([
    { kind: 'step', id: 7, index: 0, loss: expect.any(Number) },
    { kind: 'cancelled', id: 7 },
  ])
})

it('never starts a task that is cancelled while an earlier one runs', async () => {
  const { server, train } = await openedServer()
  server.requestLater({ kind: 'cancel', id: 8 })
  server.request(train)
  server.request({ ...train, id: 8 })
  await server.answer('cancelled')
  expect(server.answers.map(({ kind }) => kind)).toEqual([
    'step',
    'step',
    'step',
    'step',
    'done',
    'cancelled',
  ])
})

it('trains a file with a batch of its own on a multiple of it, as the open file on the whole', async () => {
  const spec = { ...sgdSpec, batch: 6 }
  const gradientOf = async (model: Uint8Array) => {
    const server = serverOf(native)
    server.request({ ...open, model, spec })
    const { result } = await server.answer('done')
    if (!('initial' in result)) throw new Error('open did not answer with a model')
    server.answers.length = 0
    const batches = [seededBatch(result, 1)]
    const task = { mode: 'gradient', start: result.initial, batches, learningRates: [] } as const
    server.request({ kind: 'train', id: 1, task, wantsSteps: false })
    const { result: trained } = await server.answer('done')
    if (!('update' in trained)) throw new Error('train did not answer with an update')
    expect(result.inputs[0]!.shape[0]).toBe(6)
    return { microBatch: result.microBatch, update: trained.update }
  }
  const whole = await gradientOf(modelBytes('mlp_torchscript.onnx'))
  const pieces = await gradientOf(withFixedBatch(modelBytes('mlp_torchscript.onnx'), 3))
  expect([whole.microBatch, pieces.microBatch]).toEqual([6, 3])
  expect(relativeError(pieces.update, whole.update)).toBeLessThan(1e-6)
})

it.each([
  [4, {}, 'MODEL_UNSUPPORTED', 'the file fixes a batch of 3, of which 4 is no multiple'],
  [6, { memoryBytesMax: 100 }, 'OUT_OF_MEMORY', 'a step on the 3 samples that the file fixes'],
])('refuses %i samples of a file that fixes three, with %o', async (batch, more, code, message) => {
  const server = serverOf(native)
  const model = withFixedBatch(modelBytes('mlp_torchscript.onnx'), 3)
  server.request({ ...open, model, spec: { ...sgdSpec, batch }, options: { ...open.options, ...more } })
  const { failure } = await server.answer('failed')
  expect(failure).toMatchObject({ code, message: expect.stringContaining(message), hint: expect.any(String) })
})

it('ends its task and its port when it is closed', async () => {
  const { server, train } = await openedServer()
  server.requestLater({ kind: 'close' })
  server.request(train)
  await server.answer('cancelled')
  await expect.poll(() => server.isClosed).toBe(true)
  expect(server.answers.map(({ kind }) => kind)).toEqual(['step', 'cancelled'])
})

it('reports a bug, with its place, and ends', async () => {
  const server = serverOf(async () => {
    throw new TypeError('undefined is not a backend')
  })
  server.request(open)
  expect((await server.answer('crashed')).message).toMatch(/^TypeError: undefined is not a backend\n\s+at /)
  expect(server.isClosed).toBe(true)
})
