/**
 * How long people wait until a peer is of use: a coordinator, an owner and a job are there; then three nodes are
 * spawned at the same moment, with empty folders, and their logs tell when each is ready, has taken its first step and
 * has committed its first round. All of it is in there: Node, libp2p, finding the others, fetching model and data,
 * compiling the graph.
 *
 * Beside it, in each repetition and with the machine to themselves: an empty Node, and a Node that only loads
 * onnxruntime-node and compiles the job's model.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type LogLine, Program } from './program.ts'
import { removeScratch, scratchFolder } from './scratch-folder.ts'
import { type Spread, spreadOf, spreadText, tableText } from './statistics.ts'

/** One line of the result: a moment in a node's start, counted from the spawn of its process. */
export interface StartUpRow {
  moment: 'ready' | 'first step' | 'first round'
  nodes: number
  repetitions: number
  ms: Spread
  /** By the time of `node -e 0` in the same repetition. */
  node_ratio: Spread
  /**
   * By the time in which a Node process loads onnxruntime-node and compiles the model alone, in the same repetition.
   */
  onnxruntime_ratio: Spread
}

const nodes = 3

const repetitions = 3

const examples = fileURLToPath(new URL('../examples/', import.meta.url))
const model = join(examples, 'glyphs/cnn.onnx')

/**
 * How a line of a node's log tells that a moment has come. One step is a round's whole training here: `local_steps`
 * is 1.
 */
const moments: Readonly<Record<StartUpRow['moment'], (line: LogLine) => boolean>> = {
  ready: ({ event }) => event === 'ready',
  'first step': ({ event, phase }) => event === 'averaging' && phase === 'offered',
  'first round': ({ event }) => event === 'committed',
}

/** Milliseconds of one repetition. */
interface Repetition {
  bareNode: number
  onnxruntime: number
  /** One list for each moment: one entry for each node. */
  moments: Record<string, number[]>
}

/** Measures, about half a minute in all; prints a table unless `json`. */
export async function benchStartUp({ json }: { json: boolean }): Promise<StartUpRow[]> {
  const seen: Repetition[] = []
  for (let index = 0; index < repetitions; index++) seen.push(await repetition())
  const rows = (Object.keys(moments) as StartUpRow['moment'][]).map((moment) => rowOf(moment, seen))
  if (!json) process.stdout.write(`${tableText([heading, ...rows.map(cellsOf)])}${referenceText(seen)}\n`)
  return rows
}

async function repetition(): Promise<Repetition> {
  const bareNode = await processMs(['-e', '0'])
  const onnxruntime = await processMs(['--input-type=module', '-e', compileOnly])
  const folder = await scratchFolder('start-up')
  const programs: Program[] = []
  const start = (name: string, args: string[]) => {
    const program = new Program(args, join(folder, name))
    programs.push(program)
    return program
  }
  try {
    const listen = ['--listen', '/ip4/127.0.0.1/tcp/0']
    const coordinator = start('coordinator', ['coordinator', 'start', ...listen, '--json'])
    const { addresses = [] } = (await coordinator.line(moments.ready)).line
    const job = join(folder, 'job.yaml')
    await writeFile(job, await jobText())
    const owner = start('owner', ['launch', job, '--coordinator', ...addresses, '--progress', 'json'])
    await owner.line(({ event }) => event === 'started')
    const started = Array.from({ length: nodes }, (_, index) =>
      start(`node-${index}`, [
        'node',
        'start',
        ...listen,
        '--coordinator',
        ...addresses,
        '--threads',
        '1',
        '--json',
      ]),
    )
    const times = Object.entries(moments).map(async ([moment, isIt]) => {
      const lines = await Promise.all(started.map((node) => node.line(isIt)))
      return [moment, lines.map(({ ms }) => ms)] as const
    })
    return { bareNode, onnxruntime, moments: Object.fromEntries(await Promise.all(times)) }
  } finally {
    await Promise.all(programs.map((program) => program.close()))
    await removeScratch(folder)
  }
}

/** The example job of the generated characters, with a round after every step. */
async function jobText(): Promise<string> {
  const text = await readFile(join(examples, 'glyphs/job.yaml'), 'utf8')
  return text
    .replace(/file: cnn\.onnx/, `file: ${JSON.stringify(model)}`)
    .replace(/local_steps: \d+/, 'local_steps: 1')
    .replace(/outer: .*/, '')
}

/** Loads onnxruntime-node and compiles the model, nothing else. */
const compileOnly = `
  import { InferenceSession } from ${JSON.stringify(import.meta.resolve('onnxruntime-node'))}
  await InferenceSession.create(${JSON.stringify(model)}, { intraOpNumThreads: 1, logSeverityLevel: 4 })
`

/** Milliseconds from the spawn of a Node process to its end. */
async function processMs(args: readonly string[]): Promise<number> {
  const startedMs = performance.now()
  const [code] = await once(
    spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] }),
    'exit',
  )
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with exit code ${code}`)
  return performance.now() - startedMs
}

function rowOf(moment: StartUpRow['moment'], seen: readonly Repetition[]): StartUpRow {
  const by = (divisor: (repetition: Repetition) => number) =>
    spreadOf(seen.flatMap((one) => one.moments[moment]!.map((ms) => ms / divisor(one))))
  return {
    moment,
    nodes,
    repetitions: seen.length,
    ms: by(() => 1),
    node_ratio: by(({ bareNode }) => bareNode),
    onnxruntime_ratio: by(({ onnxruntime }) => onnxruntime),
  }
}

const heading = [`${nodes} nodes at once, from the spawn`, 'ms', 'by node -e 0', 'by onnxruntime alone']

function cellsOf({ moment, ms, node_ratio, onnxruntime_ratio }: StartUpRow): string[] {
  return [moment, spreadText(ms, 0), spreadText(node_ratio, 1), spreadText(onnxruntime_ratio, 1)]
}

function referenceText(seen: readonly Repetition[]): string {
  const bare = spreadText(spreadOf(seen.map(({ bareNode }) => bareNode)), 0)
  const compile = spreadText(spreadOf(seen.map(({ onnxruntime }) => onnxruntime)), 0)
  return `node -e 0: ${bare} ms; onnxruntime-node and the model alone: ${compile} ms.`
}
