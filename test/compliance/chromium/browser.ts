/**
 * Backends inside a real Chromium, as `Backend`s of this process: every call goes to a worker of a page, one at a time.
 *
 * A page for each row, because the number of threads belongs to the realm. The pages are cross-origin isolated, so that
 * WebAssembly has threads.
 */
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { Backend, BackendName, CarriedState } from '../../../engine/backends/backend.ts'
import { Mutex } from '../../../engine/backends/mutex.ts'
import { errorOf } from '../../../engine/compute/messages.ts'
import { chromiumPath, chromiumWebGpuFlags, requireSoftwareGpu } from '../../software-gpu.ts'
import type { BuildName, Call, Reply, ResultOf } from './calls.ts'
import { pack, unpack } from './pack.ts'

const runtimeFolder = fileURLToPath(new URL('../../../node_modules/onnxruntime-web/dist/', import.meta.url))

const isolated = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

export interface Realm {
  build: BuildName
  backend: BackendName
  threads: number
}

/** A browser that is started with the first page, and the pages that were opened in it. */
export class ChromiumBackends {
  #started: Promise<{ browser: Browser; server: Server; origin: string }> | undefined
  readonly #pages = new Map<string, Promise<RemoteWorker>>()

  /** A backend in the page of `realm`, which is opened when there is none yet. */
  async open(realm: Realm): Promise<Backend> {
    const worker = await this.worker(realm)
    const id = worker.newId()
    await worker.call({ kind: 'open', ...realm, id })
    return remoteBackend(worker, realm, id)
  }

  /** The worker behind {@link open}. */
  worker(realm: Realm): Promise<RemoteWorker> {
    const key = JSON.stringify(realm)
    const known = this.#pages.get(key)
    if (known !== undefined) return known
    const opened = this.#openPage()
    this.#pages.set(key, opened)
    return opened
  }

  async close(): Promise<void> {
    const started = await this.#started
    await started?.browser.close()
    started?.server.close()
  }

  async #openPage(): Promise<RemoteWorker> {
    this.#started ??= start()
    const { browser, origin } = await this.#started
    const page = await browser.newPage()
    await page.goto(origin)
    await page.evaluate(() => {
      const worker = new Worker('/worker.js', { type: 'module' })
      const ask = (text: string) =>
        new Promise((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data)
          worker.onerror = ({ message }) => reject(new Error(message))
          worker.postMessage(text)
        })
      Object.assign(globalThis, { ask })
    })
    return new RemoteWorker(page)
  }
}

async function start() {
  requireSoftwareGpu()
  const worker = await bundleWorker()
  const server = createServer(async ({ url = '/' }, response) => {
    const answer = (type: string, body: string | Uint8Array) =>
      response.writeHead(200, { 'Content-Type': type, ...isolated }).end(body)
    if (url === '/') return answer('text/html', '<!doctype html><title>backends</title>')
    if (url === '/worker.js') return answer('text/javascript', worker)
    if (!url.startsWith('/onnxruntime/')) return response.writeHead(404).end()
    const type = url.endsWith('.wasm') ? 'application/wasm' : 'text/javascript'
    answer(type, await readFile(`${runtimeFolder}${basename(url)}`))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const browser = await chromium.launch({ executablePath: chromiumPath, args: [...chromiumWebGpuFlags] })
  return { browser, server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function bundleWorker(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['onnxruntime-web-use-extern-wasm'],
    write: false,
    logLevel: 'warning',
  })
  return outputFiles[0]!.text
}

export class RemoteWorker {
  readonly #page: Page
  readonly #mutex = new Mutex()
  #lastId = 0

  constructor(page: Page) {
    this.#page = page
  }

  newId(): number {
    this.#lastId += 1
    return this.#lastId
  }

  call<Kind extends Call['kind']>(call: Extract<Call, { kind: Kind }>): Promise<ResultOf[Kind]> {
    return this.#mutex.run(async () => {
      const text = await this.#page.evaluate(
        (request) => (globalThis as unknown as { ask(text: string): Promise<string> }).ask(request),
        pack(call),
      )
      const reply = unpack<Reply>(text)
      if ('failure' in reply) throw errorOf(reply.failure)
      if ('bug' in reply) throw new Error(reply.bug)
      return reply.result as ResultOf[Kind]
    })
  }
}

class RemoteState implements CarriedState {
  readonly id: number
  readonly #worker: RemoteWorker
  readonly #made: Promise<unknown>

  constructor(worker: RemoteWorker, backend: number) {
    this.id = worker.newId()
    this.#worker = worker
    this.#made = worker.call({ kind: 'state', backend, id: this.id })
  }

  async write(...[name, tensor]: Parameters<CarriedState['write']>): Promise<void> {
    await this.#worker.call({ kind: 'write', state: this.id, name, tensor })
  }

  async read(name: string, into: Float32Array): Promise<void> {
    into.set(await this.#worker.call({ kind: 'read', state: this.id, name, length: into.length }))
  }

  async release(): Promise<void> {
    await this.#made
    await this.#worker.call({ kind: 'release', id: this.id })
  }
}

function remoteBackend(worker: RemoteWorker, { backend: name, threads }: Realm, backend: number): Backend {
  return {
    name,
    threads,
    newState: () => new RemoteState(worker, backend),
    halfKernels: () => worker.call({ kind: 'halfKernels', backend }),
    inferTypes: (model) => worker.call({ kind: 'inferTypes', backend, model }),
    evaluateConstants: (model) => worker.call({ kind: 'evaluateConstants', backend, model }),
    compile: async (model, { carry, state, unlessNotFinite } = {}) => {
      const id = worker.newId()
      const used = (state as RemoteState | undefined) ?? new RemoteState(worker, backend)
      const inputs = await worker.call({
        kind: 'compile',
        backend,
        model,
        carry,
        unlessNotFinite,
        state: used.id,
        id,
      })
      return {
        inputs,
        state: used,
        run: async (feeds, { into = {}, signal } = {}) => {
          signal?.throwIfAborted()
          const outputs = await worker.call({ kind: 'run', executable: id, feeds })
          for (const [output, array] of Object.entries(into)) {
            array.set(outputs[output]!.data)
            outputs[output]!.data = array
          }
          return outputs
        },
        release: async () => {
          await worker.call({ kind: 'release', id })
          if (state === undefined) await used.release()
        },
      }
    },
  }
}
