/**
 * The compute worker of a Node peer: starts the thread and speaks with it.
 *
 * This is the one place that knows where the worker's file is. A thread cannot run TypeScript on Node 20, so it is
 * always the bundle: beside this code when that is a bundle too, in dist/ when it runs from its sources (tests,
 * benchmarks).
 */
import { Worker } from 'node:worker_threads'
import { connectCompute } from '../../engine/compute/client.ts'
import type { Compute } from '../../engine/compute/compute.ts'
import type { Answer, ClientPort } from '../../engine/compute/messages.ts'

/**
 * The time a worker gets to finish its step and free its graphs before it is no longer waited for: Stop takes a second.
 * It is never ended by force, nor is the process while it works: a native call cannot be interrupted, and a thread that
 * is ended in the middle of one takes the process with it, and all other runs; onnxruntime's addon throws where nobody
 * catches. One that still compiles a large model ends by itself, and the process after it.
 */
const closeDeadlineMs = 800

/** Starts a worker thread. It keeps the process alive until it ends, after `close`. The backend is chosen by `open`. */
export function openNodeCompute(): Compute {
  return connectCompute(workerPort(new Worker(workerUrl(import.meta.url))))
}

/** Where the worker's bundle is, for code that runs from the file at `here`. */
function workerUrl(here: string): URL {
  return new URL(here.endsWith('.ts') ? '../../dist/compute-worker.js' : './compute-worker.js', here)
}

function workerPort(worker: Worker): ClientPort {
  const exited = new Promise<number>((resolve) => worker.once('exit', resolve))
  return {
    post: (request, transfer) => worker.postMessage(request, transfer),
    onAnswer: (handler) => worker.on('message', (answer: Answer) => handler(answer)),
    onDeath: (handler) => {
      worker.once('error', handler)
      void exited.then((code) => handler(new Error(`its thread ended with exit code ${code}`)))
    },
    ended: async () => {
      const late = new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, closeDeadlineMs)
        void exited.then(() => clearTimeout(timer))
      })
      await Promise.race([exited, late])
    },
  }
}
