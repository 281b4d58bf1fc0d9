/** What a tab's page says to its compute worker besides the requests of engine/compute. Both ends are of one build. */

import type { Request } from '../../engine/compute/messages.ts'
import type { WorkLimits } from '../donation.ts'
import type { RuntimeName } from '../program.ts'

/** How much the worker may do. */
export type Allowance = Pick<WorkLimits, 'mayRun' | 'dutyCycle'>

/** Where the worker finds onnxruntime: absolute URLs of its glue code and its WebAssembly. */
export interface Runtime {
  name: RuntimeName
  glue: string
  wasm: string
}

/** `begin` comes first and once, with the threads that are allowed. `allow` counts from the next run of a kernel on. */
export type WorkerRequest =
  | { kind: 'begin'; runtime: Runtime; threads: number; allowance: Allowance }
  | { kind: 'allow'; allowance: Allowance }
  | Request
