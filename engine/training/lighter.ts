/**
 * What takes the place of a program for which there was not enough memory (docs/decisions/0015): the same samples with
 * more of the forward pass made again, which changes no bit of a gradient; where nothing is left to make again, half as
 * many samples.
 */
import { assert } from '../../protocols/core/assert.ts'
import { stepBytes } from '../program/memory.ts'
import { type Recomputation, recomputations } from '../program/recomputation.ts'
import type { TrainingProgram } from '../program/training-program.ts'

/** Makes the same program for another number of samples, with at least so much made again. */
export type Recompile = (microBatch: number, recomputation: Recomputation) => Promise<TrainingProgram>

/**
 * What more recomputation has to save, as a share of the whole: for less, the same step would run out of memory again.
 */
const savedMin = 0.1

/**
 * The next lighter form of `program`, or null when there is none. `isBackward`: a graph with a backward pass ran out of
 * memory; others make nothing again. `microBatchMin`: fewest samples of one run.
 */
export async function lighterProgram(
  program: TrainingProgram,
  recompile: Recompile,
  { isBackward, microBatchMin }: { isBackward: boolean; microBatchMin: number },
): Promise<TrainingProgram | null> {
  const microBatch = program.batch
  const more = recomputations.slice(recomputations.indexOf(program.recomputation) + 1)
  const bytesMax = (1 - savedMin) * stepBytes(program.memory)
  const found = isBackward && more.find((what) => stepBytes(program.memoryWith(what)) <= bytesMax)
  if (found) {
    const lighter = await recompile(microBatch, found)
    assert(lighter.recomputation !== program.recomputation, `asked for ${found}, compiled as before`)
    return lighter
  }
  const half = Math.floor(microBatch / 2)
  return half < microBatchMin ? null : recompile(half, program.recomputation)
}
