/** Who takes part in the step benchmark. A contender is a process of its own, which starts when it is opened. */

import type { Recomputation } from '../../engine/program/recomputation.ts'
import type { Precision } from '../../engine/program/training-program.ts'
import { hasGraphicsDriver } from '../../node/compute/graphics-driver.ts'
import { softwareGpu } from '../../test/software-gpu.ts'
import { Child } from '../child.ts'
import type { Opened, SubjectCalls, Turn } from './calls.ts'
import { type CaseName, cases } from './cases.ts'
import { Torch } from './torch.ts'

export const contenderNames = ['native', 'wasm', 'webgpu', 'tfjs', 'pytorch'] as const
export type ContenderName = (typeof contenderNames)[number]

/** TF.js with its own gradients, and with those of matrix products rewritten. */
export const tfjsTitles = { shipped: 'TF.js as shipped', tuned: 'TF.js tuned' } as const

export interface Contender {
  name: ContenderName
  title: string
  /** Of the processor; null where the work is a graphics processor's. */
  threads: number | null
  /** Those that fail throw an error whose message is for people, here and in `run`. */
  open(): Promise<Opened>
  /** The least time of the turn's runs, in ms. */
  run(turn: Turn): Promise<number>
  close(): Promise<void>
}

/** Contenders of `names` for `model`, in the order of the table. `recomputation`: of ours. */
export function contendersFor(
  model: CaseName,
  names: readonly ContenderName[],
  recomputation: Recomputation,
): Contender[] {
  const engine = (
    name: ContenderName,
    threads: number | null,
    environment = {},
    precision: Precision = 'float32',
  ) =>
    childContender(
      { name, title: titleOf(name, recomputation, precision), threads },
      {
        script: 'bench-step-engine',
        model,
        how: name,
        threads: threads ?? 1,
        recomputation,
        precision,
        environment,
      },
    )
  const graphics = (precision: Precision) => engine('webgpu', null, isSoftware ? softwareGpu : {}, precision)
  const tfjs = (title: string, how: string) =>
    childContender(
      { name: 'tfjs', title, threads: 1 },
      {
        script: 'bench-step-tfjs',
        model,
        how,
        threads: 1,
        recomputation: 'nothing',
        precision: 'float32',
        environment: {},
      },
    )
  const all: Contender[] = [
    engine('native', 1),
    engine('native', 2),
    engine('wasm', 1),
    engine('wasm', 2),
    ...(isSoftware && cases[model].isLarge ? [] : [graphics('float32')]),
    graphics('float16'), // Chromium's driver says at once that it has none
    tfjs(tfjsTitles.shipped, 'as shipped'),
    tfjs(tfjsTitles.tuned, 'tuned'),
    torchContender(model, 1),
    torchContender(model, 2),
  ]
  return all.filter(({ name }) => names.includes(name))
}

/**
 * Without a graphics driver of its own, a machine computes with Chromium's on the processor: that shows that it works,
 * not how fast.
 */
const isSoftware = !hasGraphicsDriver()

function titleOf(name: ContenderName, recomputation: Recomputation, precision: Precision): string {
  const device = name === 'webgpu' && isSoftware ? 'webgpu, software' : name
  const passes = precision === 'float16' ? `${device}, float16` : device
  return recomputation === 'nothing' ? passes : `${passes}, recomputing ${recomputation}`
}

type Named = Pick<Contender, 'name' | 'title' | 'threads'>

function childContender(
  named: Named,
  {
    script,
    environment,
    ...asked
  }: SubjectCalls['open']['asks'] & {
    script: string
    environment: Readonly<Record<string, string>>
  },
): Contender {
  let child: Child<SubjectCalls> | undefined
  return {
    ...named,
    open: () => {
      child = new Child(script, [], environment)
      return child.ask('open', asked)
    },
    run: (turn) => child!.ask('run', turn),
    close: async () => child?.close(),
  }
}

function torchContender(model: CaseName, threads: number): Contender {
  let torch: Torch | undefined
  return {
    name: 'pytorch',
    title: 'PyTorch',
    threads,
    open: () => {
      torch = new Torch(model, threads)
      return torch.open()
    },
    run: (turn) => torch!.run(turn),
    close: async () => torch?.close(),
  }
}
