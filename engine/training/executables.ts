/**
 * The executables of one program on one backend, each compiled when it is first asked for: most jobs need two of the
 * five. All of them read and write the same state, which is the caller's.
 */
import type { Backend, CarriedState, Executable } from '../backends/backend.ts'
import type { SplitStep, TrainingProgram } from '../program/training-program.ts'

export type GraphKind = 'gradient' | 'step' | 'evaluation' | 'accumulate' | 'apply'

export class Executables {
  readonly program: TrainingProgram
  readonly #backend: Backend
  readonly #state: CarriedState
  readonly #compiled = new Map<GraphKind, Promise<Executable>>()
  #split: SplitStep | undefined

  constructor(program: TrainingProgram, backend: Backend, state: CarriedState) {
    this.program = program
    this.#backend = backend
    this.#state = state
  }

  /** The program's step in two graphs. */
  get split(): SplitStep {
    this.#split ??= this.program.split()
    return this.#split
  }

  /** @throws {SwarmError} as the backend's `compile`; the next call tries again. */
  get(kind: GraphKind): Promise<Executable> {
    const known = this.#compiled.get(kind)
    if (known !== undefined) return known
    const compiled = this.#compile(kind)
    this.#compiled.set(kind, compiled)
    compiled.catch(() => this.#compiled.delete(kind))
    return compiled
  }

  /** Gives the executables back; the state stays. */
  async release(): Promise<void> {
    const graphs = await Promise.allSettled(this.#compiled.values())
    this.#compiled.clear()
    for (const graph of graphs) if (graph.status === 'fulfilled') await graph.value.release()
  }

  #compile(kind: GraphKind): Promise<Executable> {
    const { program } = this
    const compile = (model: Uint8Array, carry: Readonly<Record<string, string>> = {}) =>
      this.#backend.compile(model, { carry, state: this.#state })
    const unlessNotFinite = program.precision === 'float16' ? 'gradient_square' : undefined
    /** Of graphs with a backward pass. */
    const compileStep = (model: Uint8Array, carry: Readonly<Record<string, string>>) =>
      this.#backend.compile(model, { carry, state: this.#state, unlessNotFinite })
    switch (kind) {
      case 'gradient':
        return compile(program.gradientModel)
      case 'evaluation':
        return compile(program.evaluationModel)
      case 'step':
        return compileStep(program.stepModel, program.carry)
      case 'accumulate':
        return compileStep(this.split.accumulateModel, this.split.accumulateCarry)
      case 'apply':
        return compile(this.split.applyModel, program.carry)
    }
  }
}
