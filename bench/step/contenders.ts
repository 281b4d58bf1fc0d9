/** Who takes part in the step benchmark. A contender is a process of its own, which starts when it is opened. */
import { Child } from '../child.ts'
import type { Opened, SubjectCalls, Turn } from './calls.ts'
import type { CaseName } from './cases.ts'
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

/** Contenders of `names` for `model`, in the order of the table. */
export function contendersFor(model: CaseName, names: readonly ContenderName[]): Contender[] {
  const engine = (name: ContenderName, threads: number | null) =>
    childContender(
      { name, title: name, threads },
      { script: 'bench-step-engine', model, how: name, threads: threads ?? 1 },
    )
  const tfjs = (title: string, how: string) =>
    childContender({ name: 'tfjs', title, threads: 1 }, { script: 'bench-step-tfjs', model, how, threads: 1 })
  const all: Contender[] = [
    engine('native', 1),
    engine('native', 2),
    engine('wasm', 1),
    engine('wasm', 2),
    engine('webgpu', null),
    tfjs(tfjsTitles.shipped, 'as shipped'),
    tfjs(tfjsTitles.tuned, 'tuned'),
    torchContender(model, 1),
    torchContender(model, 2),
  ]
  return all.filter(({ name }) => names.includes(name))
}

type Named = Pick<Contender, 'name' | 'title' | 'threads'>

function childContender(
  named: Named,
  { script, model, threads, how }: { script: string; model: CaseName; threads: number; how: string },
): Contender {
  let child: Child<SubjectCalls> | undefined
  return {
    ...named,
    open: () => {
      child = new Child(script)
      return child.ask('open', { model, threads, how })
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
