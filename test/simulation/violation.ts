import { SafetyViolation } from '../../simulator/allreduce-checker.ts'

/** What a planted bug is caught as. */
export function violationOf(run: () => void): string {
  try {
    run()
  } catch (error) {
    if (error instanceof SafetyViolation) return error.message
    throw error
  }
  return 'nothing was noticed'
}
