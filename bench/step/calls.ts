/** What a subject of the step benchmark can be asked. A subject is a process that trains one model in one way. */

import type { Recomputation } from '../../engine/program/recomputation.ts'
import type { Precision } from '../../engine/program/training-program.ts'
import type { CaseName } from './cases.ts'

/** `forward`: onnxruntime's own pass over the model file. `matmul`: its product of two large square matrices. */
export type Work = 'step' | 'forward' | 'matmul'

export interface SubjectCalls {
  open: {
    asks: {
      model: CaseName
      threads: number
      how: string
      recomputation: Recomputation
      /** What a step of ours computes in. */
      precision: Precision
    }
    answers: Opened
  }
  /** The least time of some runs, in ms. */
  run: { asks: Turn; answers: number }
}

/** Runs of one thing: `repeatsMax` of them, or fewer when `ms` are over; one at least. */
export interface Turn {
  work: Work
  repeatsMax: number
  ms: number
}

export interface Opened {
  /** Why this subject cannot take part here; it is asked nothing more. */
  absent?: string
  /** From the model file's bytes to the training graphs. */
  buildMs?: number
  /** Floating-point operations of a step. */
  operations?: number
  /**
   * Largest resident memory of the process after a few steps, before anything that they are compared with is loaded, in
   * MB.
   */
  memoryMb?: number
  /** What it can be asked to run. */
  works: readonly Work[]
}
