/**
 * What goes wrong for people, one test each: a message that names the thing, a remedy, an exit code, and nothing left
 * over.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import type { Node } from '../../engine/onnx/graph.ts'
import { float32Constant } from '../../engine/onnx/types.ts'
import { writeModel } from '../../engine/onnx/write.ts'

const root = join(import.meta.dirname, '../..')
const glyphsModel = join(root, 'examples/glyphs/cnn.onnx')

class Command {
  stdout = ''
  stderr = ''
  readonly ended: Promise<number | null>
  readonly #process: ChildProcess
  #onOutput = () => {}

  constructor(folder: string, words: readonly string[], home = join(folder, 'home')) {
    const { STARLING_COORDINATOR: _, ...env } = process.env
    this.#process = spawn(process.execPath, [join(root, 'dist/cli.js'), ...words], {
      cwd: folder,
      env: { ...env, STARLING_HOME: home, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    })
    for (const name of ['stdout', 'stderr'] as const) {
      this.#process[name]!.on('data', (chunk) => {
        this[name] += chunk
        this.#onOutput()
      })
    }
    this.ended = new Promise((resolve) => this.#process.once('close', resolve))
    onTestFinished(async () => {
      if (this.#process.exitCode === null) this.#process.kill('SIGKILL')
      await this.ended
    })
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** Settles when `text` has been written to stdout. */
  async says(text: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#onOutput = () => {
        if (this.stdout.includes(text)) resolve()
      }
      void this.ended.then(() => reject(new Error(`no "${text}" in\n${this.stdout}${this.stderr}`)))
      this.#onOutput()
    })
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** The last line of stdout, as JSON. */
  get lastJson(): Record<string, unknown> {
    return JSON.parse(this.stdout.trimEnd().split('\n').at(-1)!)
  }
}

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-errors-'))
  onTestFinished(() => rm(folder, { recursive: true, maxRetries: 3 }))
  return folder
}

/** Lines of a job file, by section. */
const sections = {
  name: 'small',
  model: `{ file: '${glyphsModel}', loss: softmax_cross_entropy }`,
  data: '{ kind: glyphs, seed: 1, train: 1000, validation: 100 }',
  train: '{ optimizer: sgd, learning_rate: 0.1, batch_size: 16, local_steps: 4 }',
  swarm: '{ min_peers: 2, codec: f32 }',
  convergence: '{ metric: val_accuracy, mode: max, patience: 1000, max_rounds: 100000, max_minutes: 1 }',
}

async function jobFile(folder: string, change: Partial<typeof sections> = {}): Promise<string> {
  const path = join(folder, 'job.yaml')
  const lines = Object.entries({ ...sections, ...change }).map(([key, value]) => `${key}: ${value}`)
  await writeFile(path, lines.join('\n'))
  return path
}

/** A sum of two random choices by x·w, brought to integers: operators that no training goes through. */
function modelWithoutGradients(): Uint8Array {
  const node = (opType: string, name: string, inputs: string[], outputs: string[]): Node => {
    return { opType, domain: '', name, inputs, outputs, attributes: {} }
  }
  return writeModel({
    opset: 18,
    nodes: [
      node('Mul', 'scale', ['x', 'w'], ['scaled']),
      node('Bernoulli', 'first', ['scaled'], ['a']),
      node('Bernoulli', 'again', ['scaled'], ['b']),
      node('Add', 'sum', ['a', 'b'], ['c']),
      node('DynamicQuantizeLinear', 'integers', ['c'], ['y']),
    ],
    constants: new Map([['w', float32Constant(new Float32Array(28 * 28).fill(1), [28, 28])]]),
    inputs: new Map([['x', { dtype: 'float32', shape: [16, 28, 28] }]]),
    outputs: new Map([['y', { dtype: 'float32', shape: [16, 10] }]]),
  })
}

interface Mistake {
  /** Makes it in `folder`, and gives the words to type. */
  make(folder: string): Promise<readonly string[]>
  exitCode: number
  code: string
  message: RegExp
  hint: RegExp
}

const launchLocally = (path: string) => ['launch', path, '--local', '2']

const mistakes: Record<string, Mistake> = {
  'a wrong key in a job file': {
    make: async (folder) =>
      launchLocally(await jobFile(folder, { train: sections.train.replace('batch_size', 'batchsize') })),
    exitCode: 2,
    code: 'JOB_INVALID',
    message:
      /job\.yaml has a problem:\njob\.yaml:4:\d+: train\.batchsize is not a known key: write batch_size$/,
    hint: /Correct these lines/,
  },
  'a missing job file': {
    make: async () => launchLocally('nowhere.yaml'),
    exitCode: 3,
    code: 'NOT_FOUND',
    message: /the job file .*nowhere\.yaml cannot be read: there is no such file$/,
    hint: /examples\/glyphs\/job\.yaml/,
  },
  'a missing data file': {
    make: async (folder) =>
      launchLocally(await jobFile(folder, { data: '{ kind: text, source: { file: no.txt }, context: 8 }' })),
    exitCode: 3,
    code: 'DATA_MISSING',
    message: /the data file .*no\.txt cannot be read: there is no such file$/,
    hint: /--data/,
  },
  'a missing model': {
    make: async (folder) =>
      launchLocally(await jobFile(folder, { model: '{ file: no.onnx, loss: softmax_cross_entropy }' })),
    exitCode: 3,
    code: 'NOT_FOUND',
    message: /the model .*no\.onnx cannot be read: there is no such file$/,
    hint: /model\.file starts from the job file's folder/,
  },
  'data that the model does not take': {
    make: async (folder) => {
      await writeFile(join(folder, 'some.txt'), 'to be or not to be, that is the question')
      const data = '{ kind: text, source: { file: some.txt }, context: 8, split: 0.5 }'
      return launchLocally(await jobFile(folder, { data }))
    },
    exitCode: 2,
    code: 'DATA_INVALID',
    message: /input "image" takes \[1,28,28\] a sample, the data has \[8\]$/,
    hint: /other data/,
  },
  'a truncated ONNX file': {
    make: async (folder) => {
      await writeFile(join(folder, 'cut.onnx'), (await readFile(glyphsModel)).subarray(0, 5_000))
      return launchLocally(
        await jobFile(folder, { model: '{ file: cut.onnx, loss: softmax_cross_entropy }' }),
      )
    },
    exitCode: 2,
    code: 'MODEL_INVALID',
    message: /cut\.onnx: the model file is truncated or not ONNX \(5000 bytes\)$/,
    hint: /fresh export/,
  },
  'unsupported operators': {
    make: async (folder) => {
      await writeFile(join(folder, 'odd.onnx'), modelWithoutGradients())
      return launchLocally(
        await jobFile(folder, { model: '{ file: odd.onnx, loss: softmax_cross_entropy }' }),
      )
    },
    exitCode: 2,
    code: 'MODEL_UNSUPPORTED',
    message:
      /odd\.onnx: .* 2 operators .*:\nBernoulli \(nodes 'first', 'again'\): .*\nDynamicQuantizeLinear \(node 'integers'\): .*$/,
    hint: /model\.eval\(\).*before quantisation/,
  },
  'a port in use': {
    make: async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => void server.close())
      const { port } = server.address() as { port: number }
      return ['coordinator', 'start', '--listen', `/ip4/127.0.0.1/tcp/${port}`]
    },
    exitCode: 1,
    code: 'PORT_IN_USE',
    message: /port \d+ is in use by another program$/,
    hint: /another port/,
  },
  'an address that is none': {
    make: async () => ['coordinator', 'start', '--listen', '4001'],
    exitCode: 2,
    code: 'USAGE',
    message: /"4001" is no address/,
    hint: /\/tcp\/4001/,
  },
  'no coordinator': {
    make: async (folder) => ['launch', await jobFile(folder)],
    exitCode: 5,
    code: 'NO_COORDINATOR',
    message: /no coordinator was named, and none runs on this machine$/,
    hint: /--local/,
  },
  'a coordinator that is not there': {
    make: async () => ['list', '--coordinator', '/ip4/127.0.0.1/tcp/9'],
    exitCode: 5,
    code: 'NO_COORDINATOR',
    message: /no coordinator answers at \/ip4\/127\.0\.0\.1\/tcp\/9$/,
    hint: /Check that it runs/,
  },
}

test.each(Object.entries(mistakes))(
  '%s is named with its remedy, in words and in JSON',
  async (_, mistake) => {
    const folder = await freshFolder()
    const words = await mistake.make(folder)
    const human = new Command(folder, words)
    const json = new Command(folder, [...words, '--json'])
    expect(await Promise.all([human.ended, json.ended])).toEqual([mistake.exitCode, mistake.exitCode])
    const [, message, hint] = /^error: (.*)\nhint: (.*?)\n$/s.exec(human.stderr) ?? [human.stderr]
    expect(message).toMatch(mistake.message)
    expect(hint).toMatch(mistake.hint)
    expect(json.stderr).toBe('')
    expect(json.lastJson).toEqual({ success: false, error: { code: mistake.code, message, hint } })
    // a mistake is found before anything is started
    await expect(access(join(folder, 'home/state'))).rejects.toThrow('ENOENT')
  },
)

test('validate lists every node that cannot be trained, for programs', async () => {
  const folder = await freshFolder()
  await writeFile(join(folder, 'odd.onnx'), modelWithoutGradients())
  const command = new Command(folder, ['validate', 'odd.onnx', '--json'])
  expect(await command.ended).toBe(2)
  const { unsupported } = JSON.parse(command.stdout)
  expect(unsupported.map(({ node, operator }: Record<string, string>) => [node, operator])).toEqual([
    ['first', 'Bernoulli'],
    ['again', 'Bernoulli'],
    ['integers', 'DynamicQuantizeLinear'],
  ])
})

test('a home that cannot be written is named', async () => {
  const folder = await freshFolder()
  const job = await jobFile(folder)
  for (const words of [launchLocally(job), ['coordinator', 'start']]) {
    const command = new Command(folder, words, job)
    expect(await command.ended).toBe(1)
    expect(command.stderr).toMatch(
      /^error: cannot make the folder .*job\.yaml\/.*\nhint: .*STARLING_HOME\.\n$/,
    )
  }
})

// the first by its losses, the second within one round: its updates are numbers, and too large to be averaged
test.each([
  ['gradients', 'local_steps: 1'],
  ['updates', 'momentum: 0.99, local_steps: 8'],
])('a learning rate that is far too large ends in the verdict that the run diverged: %s', async (_, more) => {
  const folder = await freshFolder()
  const train = `{ optimizer: sgd, learning_rate: 100, batch_size: 16, ${more} }`
  const command = new Command(folder, [
    ...launchLocally(await jobFile(folder, { train })),
    '--progress',
    'plain',
  ])
  // one that is not seen to diverge uses up its minute, and ends with another code
  expect(await command.ended).toBe(105)
  expect(command.stdout).toMatch(/warning: The run has ended, since the (training|held-out) loss .*\.\n/)
  expect(command.stdout).toContain('The run diverged after')
  expect(command.stdout).toContain('Try a smaller learning_rate, or set grad_clip.')
})

const phases = [
  'Drawing the data set.',
  'Deriving the training graph from the model.',
  'Starting a coordinator and 1 peer on this machine.',
  'Job small',
  'Waiting for peers: 1 of 3 is here. Add one with `starling node start`.',
]

test('launch says what it does and waits for, Ctrl-C ends it in every phase, and nothing is left', async () => {
  const folder = await freshFolder()
  const job = await jobFile(folder, { swarm: '{ min_peers: 3 }' })
  await Promise.all(
    phases.map(async (phase) => {
      const command = new Command(folder, ['launch', job, '--local', '1', '--progress', 'plain'])
      await command.says(phase)
      const children = await childrenOf(command.pid)
      command.kill('SIGINT')
      expect([await command.ended, command.stderr], phase).toEqual([130, ''])
      for (const { pid } of children) expect(() => process.kill(pid, 0), phase).toThrow('ESRCH')
    }),
  )
  const left = await readdir(join(folder, 'home/state'), { recursive: true })
  expect(left.filter((name) => !/^runs(\/[^/]+(\/[^/]+\.log)?)?$/.test(name))).toEqual([])
})

test('a launch whose coordinator dies ends, and says where to look', async () => {
  const folder = await freshFolder()
  const command = new Command(folder, [...launchLocally(await jobFile(folder)), '--json'])
  await command.says('"event":"round"')
  const children = await childrenOf(command.pid)
  expect(children).toHaveLength(3)
  process.kill(children.find(({ args }) => args.includes('coordinator start'))!.pid, 'SIGKILL')
  expect(await command.ended).toBe(5)
  expect(command.lastJson).toMatchObject({
    error: {
      code: 'PEER_GONE',
      message: 'the coordinator process ended',
      hint: expect.stringMatching(/^See .*coordinator\.log\.$/),
    },
  })
  for (const { pid } of children) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
})

test('blocks that the disks of a node and of the coordinator have spoiled are fetched again', async () => {
  const folder = await freshFolder()
  const job = await jobFile(folder, {
    swarm: '{ min_peers: 1 }',
    convergence: '{ metric: val_loss, mode: min, max_rounds: 2, max_minutes: 1 }',
  })
  const results: string[] = []
  for (const isSpoilt of [false, true]) {
    if (isSpoilt) expect(await spoilBlocks(join(folder, 'home/data'))).toBeGreaterThan(10)
    const listen = ['--listen', '/ip4/127.0.0.1/tcp/0', '--json']
    const coordinator = new Command(folder, ['coordinator', 'start', ...listen])
    await coordinator.says('"ready"')
    const node = new Command(folder, ['node', 'start', ...listen])
    const launch = new Command(folder, ['launch', job, '--json', '--output', 'trained'])
    expect(await launch.ended).toBe(104)
    results.push(JSON.stringify(launch.lastJson.value))
    for (const command of [node, coordinator]) {
      command.kill('SIGTERM')
      await command.ended
      expect(command.stderr).toBe('')
      expect(command.stdout).not.toContain('"failed"')
    }
  }
  expect(results[1]).toBe(results[0])
})

/** Flips a bit of every block under `folder`. @returns how many. */
async function spoilBlocks(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true })
  const blocks = names.filter((name) => name.endsWith('.data'))
  for (const name of blocks) {
    const bytes = await readFile(join(folder, name))
    bytes[bytes.length >> 1]! ^= 1
    await writeFile(join(folder, name), bytes)
  }
  return blocks.length
}

async function childrenOf(parent: number): Promise<{ pid: number; args: string }[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,args='])
  return [...stdout.matchAll(/^ *(\d+) +(\d+) +(.*)$/gm)]
    .filter(([, , ppid]) => Number(ppid) === parent)
    .map(([, pid, , args]) => ({ pid: Number(pid), args: args! }))
}
