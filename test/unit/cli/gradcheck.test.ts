/**
 * `starling gradcheck` end to end: a model whose gradients are right, and the same model under a rule that was broken
 * on purpose.
 */
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { ParameterCheck } from '../../../engine/training/gradient-check.ts'
import { runProgram } from '../../../node/cli/program.ts'

const broken = vi.hoisted(() => ({ isRelu: false }))

/** dx = dy, as if nothing were cut off. */
vi.mock('../../../engine/gradients/activations.ts', async (importOriginal) => {
  const { activations } = await importOriginal<typeof import('../../../engine/gradients/activations.ts')>()
  const { formulaOf, gradient } = await import('../../../engine/gradients/rule.ts')
  const right = formulaOf(activations.Relu, 0)!
  const Relu = gradient((application) => (broken.isRelu ? application.dy : right(application, 0)))
  return { activations: { ...activations, Relu } }
})

const cnn = fileURLToPath(new URL('../../../examples/mnist/cnn.onnx', import.meta.url))

async function gradcheck(...words: string[]) {
  const written: string[] = []
  const stream = { write: (text: string) => void written.push(text) }
  const io = { stdout: stream, stderr: stream, env: {}, cwd: '/', signal: new AbortController().signal }
  const exitCode = await runProgram(['gradcheck', ...words], io, '0')
  return { exitCode, out: written.join('') }
}

afterEach(() => {
  broken.isRelu = false
})

describe('gradcheck', () => {
  test('finds every gradient of a CNN right, and says so', async () => {
    const { exitCode, out } = await gradcheck(cnn, '--directions', '1')
    expect(out).toContain('The gradients of 8 parameters agree with differences of the loss.')
    expect(exitCode).toBe(0)
  })

  test('finds the gradients in float16 right too, which are others', async () => {
    const checks = async (precision: string) => {
      const { exitCode, out } = await gradcheck(cnn, '--directions', '1', '--precision', precision, '--json')
      expect(exitCode).toBe(0)
      return (JSON.parse(out) as { parameters: ParameterCheck[] }).parameters
    }
    const [half, full] = [await checks('float16'), await checks('float32')]
    expect(half.map(({ verdict }) => verdict)).toEqual(half.map(() => 'right'))
    expect(half).not.toEqual(full)
  })

  test('names the parameters behind a broken rule, and no other, and exits with 1', async () => {
    broken.isRelu = true
    const { exitCode, out } = await gradcheck(cnn, '--directions', '1', '--json')
    const { success, parameters } = JSON.parse(out) as { success: boolean; parameters: ParameterCheck[] }
    const verdicts = Object.fromEntries(parameters.map(({ name, verdict }) => [name, verdict]))
    expect(verdicts).toMatchObject({ 'conv2.weight': 'wrong', 'fc1.weight': 'wrong', 'fc1.bias': 'wrong' })
    expect(verdicts).toMatchObject({ 'fc2.weight': 'right', 'fc2.bias': 'right' })
    expect(success).toBe(false)
    expect(exitCode).toBe(1)
  })
})
