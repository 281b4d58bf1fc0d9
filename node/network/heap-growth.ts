/**
 * How much garbage V8 lets gather before it looks through its whole heap. Imported by `swarm-node.ts` for its effect.
 *
 * V8 counts the buffers that were made since its last look as if they were heap, and looks again when that has grown by
 * a part of what is alive. A peer's heap is 20 MB, and an average moves hundreds through buffers that live for
 * milliseconds: there were ten to twenty looks in a round, two fifths of its processor time. They find little, because
 * young buffers are collected by themselves whenever they come to 32 MiB.
 *
 * V8 reads the option whenever it sets its next limit, so a process that runs may set it. docs/decisions/0016 has what
 * it saves and costs.
 */

import { setFlagsFromString } from 'node:v8'

/**
 * Growth before the next look, in per cent of what is alive: a round in f32 took 782 ms; with 100 578, with 200 466.
 */
const growthPercent = 200

setFlagsFromString(`--heap-growing-percent=${growthPercent}`)
