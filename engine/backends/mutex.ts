/**
 * One caller at a time, in the order of arrival. Overlapping runs hang onnxruntime's WebGPU provider and would make
 * peak memory unpredictable on the others.
 *
 * The queue is not bounded here: its callers are the steps of one trainer, which awaits each before the next.
 */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve()

  /** Calls `task` when all earlier tasks have settled, and settles as it does. */
  run<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(task, task)
    this.#last = result.catch(() => undefined)
    return result
  }
}
