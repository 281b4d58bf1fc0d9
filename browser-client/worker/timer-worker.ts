/**
 * Keeps the peer's timers in a thread of its own. A browser looks at the timers of a hidden page once a second, and
 * after five minutes once a minute; it does not slow those of a worker, nor the messages that it sends. Started by
 * `peer/worker-clock.ts`, never by hand.
 */

/** `set`: answer with `id` after `delayMs`. `clear`: do not. */
export type TimerRequest = { kind: 'set'; id: number; delayMs: number } | { kind: 'clear'; id: number }

const timers = new Map<number, ReturnType<typeof setTimeout>>()

addEventListener('message', ({ data }: MessageEvent<TimerRequest>) => {
  if (data.kind === 'clear') {
    clearTimeout(timers.get(data.id))
    timers.delete(data.id)
    return
  }
  const fire = () => {
    timers.delete(data.id)
    postMessage(data.id)
  }
  timers.set(data.id, setTimeout(fire, data.delayMs))
})
