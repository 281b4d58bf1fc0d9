/**
 * What Node 20 lacks and libp2p expects. Import this file before anything that imports libp2p.
 *
 * `Promise.withResolvers` (Node 22) is called unguarded by libp2p's streams; the global `WebSocket` (Node 22) is what
 * its WebSockets transport dials with. undici's WebSocket is the same code as Node's own; it is loaded by the first
 * dial, since it would cost every start a tenth of a second and few peers dial a WebSocket.
 */
import { createRequire } from 'node:module'

if (Promise.withResolvers === undefined) {
  Promise.withResolvers = function withResolvers<T>(this: PromiseConstructor) {
    let resolve!: (value: T | PromiseLike<T>) => void
    let reject!: (reason?: unknown) => void
    const promise = new this<T>((onResolve, onReject) => {
      resolve = onResolve
      reject = onReject
    })
    return { promise, resolve, reject }
  }
}

if (globalThis.WebSocket === undefined) {
  const require = createRequire(import.meta.url)
  Object.defineProperty(globalThis, 'WebSocket', {
    configurable: true,
    get: () => (require('undici') as typeof import('undici')).WebSocket,
  })
}
