/**
 * The compute worker as the page sees it: starts the thread, speaks with it, and can end it at once. A kernel cannot be
 * interrupted, but its thread can, so Stop never waits for a step.
 */

import { connectCompute } from '../../engine/compute/client.ts'
import type { Answer, ClientPort } from '../../engine/compute/messages.ts'
import type { Clock } from '../../protocols/core/clock.ts'
import type { Allowance, Runtime, WorkerRequest } from './messages.ts'
import type { MortalCompute } from './reviving-compute.ts'

/** The time a worker gets to free its graphs before it is ended by force. */
const closeDeadlineMs = 500

export interface TabCompute extends MortalCompute {
  /** How much it may do; counts from the next run of a kernel on. */
  allow(allowance: Allowance): void
  /** Ends the worker at once, in the middle of whatever it does; pending calls reject. */
  kill(): void
}

export interface TabComputeInit {
  /** Of the worker's script. */
  url: URL
  /**
   * The thread starts at once, and opens no model before this is there; never, should it fail: then kill the worker.
   */
  runtime: Promise<Runtime>
  /** Of the runtime, 1 or more; a realm has one number, whatever models are opened with later. */
  threads: number
  allowance: Allowance
  clock: Clock
}

/** Starts a worker. */
export function openTabCompute({ url, runtime, threads, allowance, clock }: TabComputeInit): TabCompute {
  const worker = new Worker(url, { type: 'module', name: 'compute' })
  const post = (request: WorkerRequest, transfer: ArrayBuffer[] = []) => worker.postMessage(request, transfer)
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  let isDead = false
  let tellDeath: (reason: unknown) => void = () => {}
  const kill = () => die(new Error('it was stopped'))
  const die = (reason: Error) => {
    isDead = true
    worker.terminate()
    end()
    tellDeath(reason)
  }
  const port: ClientPort = {
    post: (request, transfer) => post(request, transfer),
    onAnswer: (handler) => {
      worker.addEventListener('message', ({ data }: MessageEvent<Answer | 'closed'>) => {
        if (data === 'closed') end()
        else {
          if (data.kind === 'crashed') isDead = true
          handler(data)
        }
      })
    },
    onDeath: (handler) => {
      tellDeath = handler
      worker.addEventListener('error', ({ message }) =>
        die(new Error(message || 'its script could not be loaded')),
      )
    },
    ended: async () => {
      const stopTimer = clock.setTimer(closeDeadlineMs, kill)
      await ended
      stopTimer()
      worker.terminate()
    },
  }
  // whoever loads the runtime tells of its failure
  runtime.then(
    (runtime) => post({ kind: 'begin', runtime, threads, allowance }),
    () => {},
  )
  return {
    ...connectCompute(port),
    get isDead() {
      return isDead
    },
    allow: (allowance) => post({ kind: 'allow', allowance }),
    kill,
  }
}
