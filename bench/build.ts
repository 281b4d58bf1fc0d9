/**
 * How long it takes to build training graphs: from the bytes of a model file to the graphs for gradient, step and
 * evaluation. Everything that starting a job waits for before its first step, apart from loading the graphs.
 */
import { openNativeBackend } from '../engine/backends/native.ts'
import { compileProgram } from '../engine/program/compile-program.ts'
import type { TrainingSpec } from '../engine/program/training-program.ts'
import { type Spread, spreadOf, spreadText } from './statistics.ts'
import { gpt, resnet } from './step/models.ts'

/** One line of the result. */
export interface BuildRow {
  model: string
  parameters: number
  file_mb: number
  /** With the processor of this machine; `cpu_ms` leaves out what other programs took. */
  build_ms: Spread
  cpu_ms: Spread
}

const buildCount = 5

const models = [
  {
    name: 'ResNet-50, 224×224, batch 8',
    batch: 8,
    onnx: () => resnet(8, { blocks: [3, 4, 6, 3], isBottleneck: true, side: 224, classes: 1000 }),
  },
  {
    name: 'GPT-2 small, 1024 tokens',
    batch: 1,
    onnx: () => gpt(1, { layers: 12, width: 768, heads: 12, context: 1024, vocabulary: 50_257 }),
  },
] as const

/** Builds each model a few times with AdamW; prints a line for each unless `json`. */
export async function benchBuild({ json }: { json: boolean }): Promise<BuildRow[]> {
  const backend = await openNativeBackend({ threads: 1 })
  const optimizer = { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 } as const
  const rows: BuildRow[] = []
  for (const { name, batch, onnx } of models) {
    const file = onnx()
    const spec: TrainingSpec = { batch, loss: 'softmax_cross_entropy', optimizer }
    const [walls, cpus]: [number[], number[]] = [[], []]
    let parameters = 0
    for (let build = 0; build < buildCount; build++) {
      const [startedAt, before] = [performance.now(), process.cpuUsage()]
      parameters = (await compileProgram(file, spec, backend)).parameterCount
      const { user, system } = process.cpuUsage(before)
      walls.push(performance.now() - startedAt)
      cpus.push((user + system) / 1000)
    }
    const row = { model: name, parameters, file_mb: file.length / 1e6 }
    rows.push({ ...row, build_ms: spreadOf(walls), cpu_ms: spreadOf(cpus) })
    if (!json) {
      const [wall, cpu] = [spreadText(spreadOf(walls), 0), spreadText(spreadOf(cpus), 0)]
      process.stdout.write(`${name}, ${(parameters / 1e6).toFixed(1)} M: ${wall} ms, processor ${cpu} ms\n`)
    }
  }
  return rows
}
