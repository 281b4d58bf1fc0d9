/**
 * WebAssembly's memory cannot grow any more, as in a tab to which the browser gives no more. onnxruntime is the real
 * one, and so is what it does then: it traps, and nothing that it holds can be used again. So this is a file of its
 * own.
 */
import * as onnxruntimeWeb from 'onnxruntime-web'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openWasmBackend } from '../../../engine/backends/wasm.ts'
import type { Answer, Request } from '../../../engine/compute/messages.ts'
import { serveCompute } from '../../../engine/compute/serve.ts'
import { wideModel } from '../../integration/peers/wide-model.ts'
import { seededBatch, sgdSpec } from './example-models.ts'

test('a worker to which WebAssembly gives no memory ends, so that another one can begin with less', async () => {
  const answers = new Map<Answer['kind'], Answer>()
  let handle: (request: Request) => void = () => {}
  let isClosed = false
  serveCompute(
    {
      post: (answer) => void answers.set(answer.kind, answer),
      onRequest: (handler) => {
        handle = handler
      },
      turn: async () => {},
      close: () => {
        isClosed = true
      },
    },
    () => [{ name: 'wasm', open: async () => openWasmBackend(onnxruntimeWeb, { threads: 1 }) }],
  )
  const answered = <Kind extends Answer['kind']>(kind: Kind) =>
    vi.waitUntil(() => answers.get(kind) as Extract<Answer, { kind: Kind }> | undefined, { timeout: 20_000 })
  const spec = { ...sgdSpec, batch: 4096 }
  const options = { backend: 'wasm', threads: 1 } as const
  handle({ kind: 'open', id: 0, model: wideModel(64), spec, options })
  const { result } = await answered('done')
  if (!('initial' in result)) throw new Error('open did not answer with a model')

  const grow = vi.spyOn(WebAssembly.Memory.prototype, 'grow').mockImplementation(() => {
    throw new RangeError('WebAssembly.Memory.grow(): Maximum memory size exceeded')
  })
  onTestFinished(() => grow.mockRestore())
  const batches = [seededBatch(result, 1)]
  const task = { mode: 'steps', start: result.initial, batches, learningRates: [0.1] } as const
  handle({ kind: 'train', id: 1, task, wantsSteps: false })
  const { message } = await answered('crashed')
  expect(grow).toHaveBeenCalled()
  expect(message).toBe('wasm backend failed while running the graph: memory access out of bounds')
  expect(isClosed).toBe(true)
})
