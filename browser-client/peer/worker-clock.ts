/**
 * The clock of a tab: real time, with timers that go on at full rate while the tab is hidden, because a worker keeps
 * them (`worker/timer-worker.ts`). Rounds are shorter than the second that a hidden page's own timers are held to.
 */

import type { Clock } from '../../protocols/core/clock.ts'
import type { TimerRequest } from '../worker/timer-worker.ts'

export interface WorkerClock extends Clock {
  /** Ends the worker; no timer fires any more. */
  close(): void
}

/** A clock whose worker runs the script at `url`. */
export function workerClock(url: URL): WorkerClock {
  const worker = new Worker(url, { type: 'module', name: 'timers' })
  const callbacks = new Map<number, () => void>()
  let nextId = 0
  const post = (request: TimerRequest) => worker.postMessage(request)
  worker.addEventListener('message', ({ data: id }: MessageEvent<number>) => {
    const callback = callbacks.get(id)
    callbacks.delete(id)
    callback?.()
  })
  return {
    now: () => performance.now(),
    setTimer(delayMs, callback) {
      const id = nextId++
      callbacks.set(id, callback)
      post({ kind: 'set', id, delayMs })
      return () => {
        if (callbacks.delete(id)) post({ kind: 'clear', id })
      }
    },
    close: () => {
      callbacks.clear()
      worker.terminate()
    },
  }
}
