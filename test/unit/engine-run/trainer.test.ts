/** The trainer on a program whose every number can be checked by hand, on every backend. */
import { describe, expect, it } from 'vitest'
import { Trainer } from '../../../engine/training/trainer.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import type { Batch } from '../../../protocols/core/tensor.ts'
import { backends } from '../../compliance/backends.ts'
import { lineBatch, lineProgram } from './line-program.ts'

async function parametersOf(trainer: Trainer): Promise<number[]> {
  const into = new Float32Array(4)
  await trainer.read(into)
  return [...into]
}

async function codeOf(promise: Promise<unknown>): Promise<[string, string]> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SwarmError)
  const { code, message } = error as SwarmError
  return [code, message]
}

describe.each(backends)('trainer on $title', ({ open }) => {
  const create = async () => new Trainer(lineProgram, await open())

  // At the start y = [5, 6]. Labels [4, 9] give e = [1, -3]: loss 5, dw = [1, -3, 0], db = -2.
  const batch = lineBatch(4, 9)

  it('gives loss and gradient, in the order of the parameters, and changes nothing', async () => {
    const trainer = await create()
    const into = new Float32Array(4)
    const { loss, gradient } = await trainer.gradient(batch, { into })
    expect([loss, ...gradient]).toEqual([5, 1, -3, 0, -2])
    expect(gradient).toBe(into)
    const again = await trainer.gradient(batch)
    expect(again.gradient).toEqual(Float32Array.of(1, -3, 0, -2))
    expect(await parametersOf(trainer)).toEqual([1, 2, 3, 4])
    await trainer.release()
  })

  it('takes the gradient at the parameters it was given last', async () => {
    const trainer = await create()
    trainer.load(Float32Array.of(0, 0, 0, 1))
    const { loss, gradient } = await trainer.gradient(batch) // e = [-3, -8]
    expect([loss, ...gradient]).toEqual([36.5, -3, -8, 0, -11])
    await trainer.steps([batch], [1]) // w = [3, 8, 0], b = 12
    expect((await trainer.gradient(lineBatch(0, 0))).loss).toBe((15 ** 2 + 20 ** 2) / 2)
    await trainer.release()
  })

  it('keeps parameters and slots between steps and calls, and counts the steps', async () => {
    const trainer = await create()
    // Step 1, rate 1: m = [1, -3, 0], n = -2; w = [0, 5, 3], b = 6. Then y = [6, 11], e = [2, 2].
    // Step 2, rate 2·0.5: m = [3, -1, 0], n = 2; w = [-3, 6, 3], b = 4.
    const { losses } = await trainer.steps([batch, batch], [1, 0.5])
    expect(losses).toEqual([5, 4])
    expect(await parametersOf(trainer)).toEqual([-3, 6, 3, 4])
    // y = [1, 10], e = [-3, 1]. Step 3, rate 3: m = [0, 0, 0], n = 0: nothing moves.
    expect((await trainer.steps([batch], [1])).losses).toEqual([5])
    expect(await parametersOf(trainer)).toEqual([-3, 6, 3, 4])
    await trainer.release()
  })

  it('keeps the slots when parameters are loaded, and clears them when the optimizer is reset', async () => {
    const trainer = await create()
    await trainer.steps([batch], [1]) // m = [1, -3, 0], n = -2
    trainer.load(lineProgram.initial)
    await trainer.steps([batch], [1]) // step 2: m = [2, -6, 0], n = -4
    expect(await parametersOf(trainer)).toEqual([-3, 14, 3, 12])
    trainer.load(lineProgram.initial)
    trainer.resetOptimizer()
    await trainer.steps([batch], [1]) // step 1 again: m = [1, -3, 0], n = -2
    expect(await parametersOf(trainer)).toEqual([0, 5, 3, 6])
    await trainer.release()
  })

  it('takes a batch in pieces when it is larger than the graphs, as if it were one', async () => {
    const trainer = await create()
    const batch = lineBatch(4, 9, 1, 1) // the first two as before; then e = [4, 5]: loss 20.5, dw = [4, 5, 0], db = 9
    const { loss, gradient } = await trainer.gradient(batch)
    expect([loss, ...gradient]).toEqual([12.75, 2.5, 1, 0, 3.5])
    expect(await trainer.evaluate(batch)).toEqual({ lossSum: 51, correct: 10, predictions: 4 })
    expect(await parametersOf(trainer)).toEqual([1, 2, 3, 4])
    const { losses } = await trainer.steps([batch, batch], [1, 0.5]) // m = [2.5, 1, 0], n = 3.5
    expect(losses[0]).toBe(12.75) // then w = [-1.5, 1, 3], b = 0.5; e = [-5, -7.5, -2, 0.5]
    expect(losses[1]).toBe((25 + 56.25 + 4 + 0.25) / 4)
    // dw = [-3.5, -3.5, 0], db = -7: m = [-1, -2.5, 0], n = -3.5
    expect(await parametersOf(trainer)).toEqual([-0.5, 3.5, 3, 4])
    await trainer.release()
  })

  it('forgets a sum that was not finite with the next batch', async () => {
    const trainer = await create()
    expect((await codeOf(trainer.gradient(lineBatch(4, 9, 1e30, 0))))[0]).toBe('LOSS_NOT_FINITE')
    const { gradient } = await trainer.gradient(lineBatch(4, 9, 1, 1))
    expect([...gradient]).toEqual([2.5, 1, 0, 3.5])
    await trainer.release()
  })

  it('starts again at the parameters that were loaded last, with the optimizer reset', async () => {
    const trainer = await create()
    await trainer.steps([batch], [1])
    await trainer.restart()
    expect(await parametersOf(trainer)).toEqual([1, 2, 3, 4])
    await trainer.steps([batch], [1])
    expect(await parametersOf(trainer)).toEqual([0, 5, 3, 6])
    await trainer.release()
  })

  it('evaluates at the parameters after the last step', async () => {
    const trainer = await create()
    expect(await trainer.evaluate(batch)).toEqual({ lossSum: 10, correct: 9, predictions: 2 })
    await trainer.steps([batch], [1])
    expect(await trainer.evaluate(batch)).toEqual({ lossSum: 8, correct: 9, predictions: 2 })
    await trainer.release()
  })

  it('stops between steps when cancelled, after the last whole step', async () => {
    const trainer = await create()
    const controller = new AbortController()
    const onStep = (index: number) => {
      if (index === 0) controller.abort(new Error('enough'))
    }
    const steps = trainer.steps([batch, batch, batch], [1, 1, 1], { signal: controller.signal, onStep })
    await expect(steps).rejects.toThrow('enough')
    expect(await parametersOf(trainer)).toEqual([0, 5, 3, 6])
    await trainer.release()
  })

  it('names the step whose loss is not finite', async () => {
    const trainer = await create()
    const [code, message] = await codeOf(trainer.steps([batch, lineBatch(1e30, 0)], [1, 1]))
    expect(code).toBe('LOSS_NOT_FINITE')
    expect(message).toContain('step 1 is Infinity')
    expect((await codeOf(trainer.gradient(lineBatch(Number.NaN, 0))))[0]).toBe('LOSS_NOT_FINITE')
    await trainer.release()
  })

  it.each<[string, Batch, string]>([
    ['lacks the input', { ...batch, inputs: {} }, "no input 'x'"],
    [
      'has fewer labels than samples',
      { ...batch, labels: { dtype: 'float32', shape: [1, 1], data: Float32Array.of(1) } },
      'x of the batch has the shape [2,3], labels [1,1]',
    ],
    ['has no sample', lineBatch(), 'x of the batch has the shape [0,3], labels [0,1]'],
    ['leaves samples over', lineBatch(4, 9, 4), 'leaves 1 samples over; the model was compiled for 2'],
    [
      'has samples of another shape',
      { ...batch, labels: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } },
      'labels of the batch is float32 [2, 2], the model takes float32 [n, 1]',
    ],
    [
      'has another dtype',
      { ...batch, inputs: { x: { dtype: 'int32', shape: [2, 3], data: new Int32Array(6) } } },
      "input 'x' of the batch is int32 [2, 3], the model takes float32 [n, 3]",
    ],
  ])('refuses a batch that %s', async (_what, wrong, text) => {
    const trainer = await create()
    const [code, message] = await codeOf(trainer.gradient(wrong))
    expect([code, message]).toEqual(['DATA_INVALID', expect.stringContaining(text)])
    await trainer.release()
  })
})
