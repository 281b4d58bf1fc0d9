/**
 * What a node keeps of a run on its disk, so that its next life goes on where this one was ended: its newest state, and
 * what it pledged as a voter.
 *
 *     <home>/runs/<job>/state     the newest state (packed-state.ts)            8 bytes a parameter with momentum
 *     <home>/runs/<job>/pledge    the newest pledge (pledge-codec.ts)           a vector in the job's codec once a seal was accepted
 *
 * One writer, in order: a state is on the disk before anything that is pledged in its round. Of states that wait only
 * the newest is written. The folder goes when the run ends; of runs whose end this node never heard, a few are kept.
 */

import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PledgeStore } from '../../protocols/allreduce/index.ts'
import { type Clock, systemClock } from '../../protocols/core/clock.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { packState, unpackState } from '../../protocols/run/packed-state.ts'
import type { EncodedState, ExpectedState, State } from '../../protocols/run/state.ts'
import type { RunStore } from '../peer/take-part.ts'
import { readDurable, removeDurably, writeDurably } from './durable-file.ts'

/** Runs whose folders a node keeps: it is in one at a time, and may come back to a few that it was taken out of. */
export const keptRunsMax = 4

/**
 * How long a peer that leaves waits for its disk. A container that is stopped gets ten seconds in all, of which handing
 * over takes up to eight; and nobody has been told of what is not yet written.
 */
const closeMsMax = 2_000

/**
 * Folders in which a write goes on whose run was closed without it: a disk that does not answer, such as a network's.
 */
const held = new Set<string>()

export class KeptRun implements RunStore {
  readonly #clock: Clock
  readonly #folder: string
  readonly #recalled: Uint8Array | undefined
  #writing: Promise<void> = Promise.resolve()
  /** A state could not be written. */
  #failure: unknown
  #waiting: EncodedState | undefined
  /** Set once it is closed. */
  #closing: Promise<void> | undefined

  private constructor(folder: string, recalled: Uint8Array | undefined, clock: Clock) {
    this.#clock = clock
    this.#folder = folder
    this.#recalled = recalled
  }

  /**
   * Opens the folder of `job` below `runs`, making it when missing, and removes the oldest ones beyond
   * {@link keptRunsMax}.
   * @throws {SwarmError} STORAGE_FAILED, also while a write of this process's former part in the run goes on there.
   */
  static async open(runs: string, job: string, clock: Clock = systemClock): Promise<KeptRun> {
    const folder = join(runs, job)
    if (held.has(folder)) {
      throw new SwarmError('STORAGE_FAILED', `the disk still holds up a write in ${folder}`, {
        retry: 'same-peer',
        hint: 'Look after the disk, or choose another place with STARLING_HOME.',
      })
    }
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await prune(runs, job)
    } catch (cause) {
      throw new SwarmError('STORAGE_FAILED', `cannot open the folder ${folder}`, {
        cause,
        hint: 'Free some space, check the permissions, or choose another place with STARLING_HOME.',
      })
    }
    return new KeptRun(folder, await readDurable(join(folder, 'pledge')), clock)
  }

  /** For the allreduce of the run. */
  get pledges(): PledgeStore {
    return {
      recalled: this.#recalled,
      write: (pieces) => {
        const path = join(this.#folder, 'pledge')
        if (this.#closing !== undefined) return Promise.reject(closed(path))
        return this.#inTurn(() => {
          if (this.#failure !== undefined) throw this.#failure
          return pieces === undefined ? removeDurably(path) : writeDurably(path, pieces)
        })
      },
    }
  }

  /**
   * The newest state of a former life; undefined when there is none of `expected` that can be read: the others have
   * newer ones.
   */
  async state(expected: ExpectedState): Promise<State | undefined> {
    try {
      const bytes = await readDurable(join(this.#folder, 'state'))
      return bytes && unpackState(bytes, expected)
    } catch (error) {
      if (error instanceof SwarmError) return undefined // of another version, or larger than an array may be
      throw error
    }
  }

  /** Writes `state` in its turn; should that fail, the next pledge says so. */
  keep(state: EncodedState): void {
    if (this.#closing !== undefined) return
    const isNext = this.#waiting !== undefined
    this.#waiting = state
    if (isNext) return
    void this.#inTurn(async () => {
      const newest = this.#waiting!
      this.#waiting = undefined
      try {
        await writeDurably(join(this.#folder, 'state'), packState(newest))
      } catch (error) {
        this.#failure = error
      }
    })
  }

  /**
   * Resolves when nothing is being written any more, or after {@link closeMsMax}. What is asked for from now on is
   * refused: a goodbye that a slow disk held up must not write between what this peer's next part in the run reads and
   * writes. For the same reason the folder is not opened again while a write goes on that was not waited for.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    held.add(this.#folder)
    const written = this.#writing.then(() => void held.delete(this.#folder))
    await new Promise<void>((resolve) => {
      const stopTimer = this.#clock.setTimer(closeMsMax, resolve)
      void written.then(() => {
        stopTimer()
        resolve()
      })
    })
  }

  /** The run has ended: nothing of it is kept. A folder that cannot be removed stays, until others take its place. */
  async forget(): Promise<void> {
    await this.close()
    await rm(this.#folder, { recursive: true, force: true }).catch(() => {})
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    const turn = this.#writing.then(write)
    this.#writing = turn.catch(() => {}) // whoever asked for it hears of it
    return turn
  }
}

function closed(path: string): SwarmError {
  return new SwarmError('STORAGE_FAILED', `${path} is not written any more: this peer has left the run`)
}

/** Removes what other runs left, the oldest first, until `keptRunsMax` are left with this one. */
async function prune(runs: string, job: string): Promise<void> {
  const others = (await readdir(runs)).filter((name) => name !== job)
  const dated = await Promise.all(
    others.map(async (name) => ({ path: join(runs, name), usedMs: await usedMs(join(runs, name)) })),
  )
  dated.sort((a, b) => b.usedMs - a.usedMs)
  for (const { path } of dated.slice(keptRunsMax - 1))
    await rm(path, { recursive: true, force: true }).catch(() => {}) // it takes room, and holds nothing up
}

/**
 * When something was last put in `folder`, since 1970; 0 for what is gone meanwhile, and for a time to come: the clock
 * was wrong then, and would keep it before all others for as long.
 */
async function usedMs(folder: string): Promise<number> {
  return stat(folder).then(
    ({ mtimeMs }) => (mtimeMs > Date.now() ? 0 : mtimeMs),
    () => 0,
  )
}
