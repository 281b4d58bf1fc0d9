/** What a subject of the step benchmark can be asked. A subject is a process that trains one model in one way. */
import type { CaseName } from './cases.ts'

/** `forward`: onnxruntime's own pass over the model file. `matmul`: its product of two 1024×1024 matrices. */
export type Work = 'step' | 'gradient' | 'forward' | 'matmul'

export interface SubjectCalls {
  open: { asks: { model: CaseName; threads: number; how: string }; answers: Opened }
  /** The least time of `repeats` runs, in ms. */
  run: { asks: { work: Work; repeats: number }; answers: number }
  /** Largest resident memory of the process so far, in MB. */
  memory: { asks: null; answers: number }
}

export interface Opened {
  /** Why this subject cannot take part here; it is asked nothing more. */
  absent?: string
  /** From the model file's bytes to the training graphs. */
  buildMs?: number
  /** Floating-point operations of a forward pass. */
  operations?: number
  /** What it can be asked to run. */
  works: readonly Work[]
}

/** Of `matmul`. */
export const matmulSide = 1024
export const matmulOperations = 2 * matmulSide ** 3
