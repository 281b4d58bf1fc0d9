/**
 * What a peer needs of a machine, one check each. A check looks for itself: it loads the library, opens the port,
 * writes the file. Each says what it saw, and where something is wrong, what to do.
 */

import { once } from 'node:events'
import { constants } from 'node:fs'
import { access, mkdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { availableParallelism, freemem, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Backend } from '../../engine/backends/backend.ts'
import packageJson from '../../package.json' with { type: 'json' }
import { bytes } from '../../protocols/core/quantities.ts'
import { dirsFor } from '../storage/dirs.ts'

export interface Finding {
  /** `warn`: works, but slower or not for long; `fail`: a peer cannot run. */
  status: 'ok' | 'warn' | 'fail'
  /** One sentence: what was seen. */
  message: string
  /** What to do about it; absent when nothing has to be done. */
  remedy?: string
}

export interface CheckContext {
  env: Readonly<Record<string, string | undefined>>
  /** TCP port to try; 0: any. */
  port: number
}

export interface Check {
  name: string
  /** Whether a peer cannot run without it. Decides between `fail` and `warn` when the check throws. */
  isVital: boolean
  /** What to do when the check throws. */
  remedy: string
  run(context: CheckContext): Promise<Finding>
}

/** A model, its data and a few checkpoints; below it a run cannot keep its files. */
const diskBytesMin = 1e9
/** The runtime, a small model with optimizer state, and libp2p take about half of this. */
const memoryBytesMin = 1e9

/** A connection within one machine takes no time; one that a firewall swallows never comes. */
const connectMsMax = 3_000

/**
 * ONNX model of opset 17 without inputs, output `y = a + a` with the constant a = 1: loads a backend, and runs a
 * kernel. Made with `onnx.helper` (Constant with value_float, Add; IR version 8).
 */
const onePlusOne =
  'CAg6RgokEgFhIghDb25zdGFudCoVCgt2YWx1ZV9mbG9hdBUAAIA/oAEBCg4KAWEKAWESAXkiA0FkZBIBZ2ILCgF5EgYKBAgBEgBCBAoAEBE='

/** All checks, the most basic first. */
export const checks: readonly Check[] = [
  { name: 'node', isVital: true, remedy: 'Install Node 20.19 or newer.', run: nodeVersion },
  { name: 'platform', isVital: true, remedy: "Run 'npm ci' in Starling's folder.", run: platformShims },
  {
    name: 'native_backend',
    isVital: false,
    remedy:
      'Training falls back to wasm. Run npm ci on this machine, so that the build for its platform is there.',
    run: nativeBackend,
  },
  { name: 'wasm_backend', isVital: true, remedy: "Run 'npm ci' in Starling's folder.", run: wasmBackend },
  {
    name: 'loopback',
    isVital: true,
    remedy: "Bring the loopback interface up ('ip link set lo up'), and let local firewalls pass 127.0.0.1.",
    run: loopback,
  },
  { name: 'port', isVital: true, remedy: 'Choose another port with --port or --listen.', run: portFree },
  {
    name: 'state_dir',
    isVital: true,
    remedy: 'Set STARLING_HOME to a folder that you may write.',
    run: stateDir,
  },
  { name: 'disk', isVital: false, remedy: 'Set STARLING_HOME to a folder on a local disk.', run: diskSpace },
  { name: 'memory', isVital: false, remedy: 'Close other programs.', run: memory },
  { name: 'clock', isVital: false, remedy: "Set the machine's clock.", run: clock },
]

async function nodeVersion(): Promise<Finding> {
  const wanted = packageJson.engines.node.replace('>=', '')
  const isEnough = compareVersions(process.versions.node, wanted) >= 0
  const message = `Node ${process.versions.node} on ${process.platform} ${process.arch}`
  if (isEnough) return { status: 'ok', message }
  return { status: 'fail', message, remedy: `Install Node ${wanted} or newer.` }
}

/** Negative, zero or positive as `a` is older than, equal to or newer than `b`; of numbers and dots. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)]
  const index = left.findIndex((part, position) => part !== (right[position] ?? 0))
  return index === -1 ? 0 : left[index]! - (right[index] ?? 0)
}

async function platformShims(): Promise<Finding> {
  await import('../network/platform.ts')
  const missing = [
    ...(typeof Promise.withResolvers === 'function' ? [] : ['Promise.withResolvers']),
    ...(typeof globalThis.WebSocket === 'function' ? [] : ['WebSocket']),
  ]
  if (missing.length === 0) return { status: 'ok', message: 'Promise.withResolvers and WebSocket are there' }
  return {
    status: 'fail',
    message: `${missing.join(' and ')} missing`,
    remedy: "Run 'npm ci' in Starling's folder.",
  }
}

async function nativeBackend(): Promise<Finding> {
  const { openNativeBackend } = await import('../../engine/backends/native.ts')
  await addOnes(await openNativeBackend({ threads: 1 }))
  return { status: 'ok', message: `native backend runs; ${availableParallelism()} cores` }
}

async function wasmBackend(): Promise<Finding> {
  const { openWasmBackend } = await import('../../engine/backends/wasm.ts')
  const runtime = await import('onnxruntime-web')
  await addOnes(openWasmBackend(runtime, { threads: 1 }))
  return { status: 'ok', message: 'wasm backend runs' }
}

async function addOnes(backend: Backend): Promise<void> {
  const model = Uint8Array.from(atob(onePlusOne), (character) => character.charCodeAt(0))
  const result = (await backend.evaluateConstants(model)).get('y')?.data
  if (result instanceof Float32Array && result[0] === 2) return
  throw new Error(`${backend.name} backend computes 1 + 1 = ${String(result)}`)
}

/** Processes on one machine speak over 127.0.0.1, which some containers lack. */
async function loopback(): Promise<Finding> {
  const server = createServer((socket) => socket.end())
  try {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const socket = createConnection({ host: '127.0.0.1', port, signal: AbortSignal.timeout(connectMsMax) })
    await once(socket, 'connect')
    socket.destroy()
    return { status: 'ok', message: 'this machine reaches itself over 127.0.0.1' }
  } finally {
    server.close()
  }
}

async function portFree({ port }: CheckContext): Promise<Finding> {
  const server = createServer()
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve)
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(undefined)))
  })
  if (failure === undefined) return { status: 'ok', message: `port ${port} is free` }
  if (failure.code !== 'EADDRINUSE') throw failure
  return {
    status: 'warn',
    message: `port ${port} is in use`,
    remedy: 'Only a coordinator needs it: end the other program, or choose another port with --listen.',
  }
}

async function stateDir({ env }: CheckContext): Promise<Finding> {
  const { state } = dirsFor(env)
  await mkdir(state, { recursive: true, mode: 0o700 })
  await access(state, constants.R_OK | constants.W_OK)
  const probe = join(state, `.doctor-${process.pid}`)
  await writeFile(probe, '')
  await rm(probe)
  const { mode } = await stat(state)
  if (process.platform !== 'win32' && (mode & 0o022) !== 0) {
    return {
      status: 'warn',
      message: `${state} can be written by other users, and this peer's key is kept there`,
      remedy: `chmod 700 ${state}`,
    }
  }
  return { status: 'ok', message: `${state} can be written` }
}

async function diskSpace({ env }: CheckContext): Promise<Finding> {
  const { state } = dirsFor(env)
  const { bavail, bsize } = await statfs(state)
  const message = `${bytes(bavail * bsize)} free on the disk of ${state}`
  if (bavail * bsize >= diskBytesMin) return { status: 'ok', message }
  return { status: 'warn', message, remedy: `Make room: ${bytes(diskBytesMin)} are enough for a run.` }
}

async function memory(): Promise<Finding> {
  const available = Math.min(freemem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  const message = `${bytes(available)} of ${bytes(totalmem())} memory free`
  if (available >= memoryBytesMin) return { status: 'ok', message }
  return {
    status: 'warn',
    message,
    remedy: `Close other programs: a peer takes up to ${bytes(memoryBytesMin)}.`,
  }
}

/** Manifests expire by the wall clock. A clock before the day this code was installed is wrong for certain. */
async function clock(): Promise<Finding> {
  const { mtimeMs } = await stat(fileURLToPath(import.meta.url))
  const message = `the clock says ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`
  if (Date.now() >= mtimeMs) return { status: 'ok', message }
  return {
    status: 'warn',
    message: `${message}, which is before Starling was installed`,
    remedy: "Set the machine's clock: jobs expire by it, and peers refuse what is expired.",
  }
}
