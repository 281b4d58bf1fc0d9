/**
 * What the benchmark's page can do, called from outside (bench/tab.ts): train in Starling's own worker and in
 * TensorFlow.js, and push bytes through Starling's links and through the bare channels under them. Everything here is
 * the tab's own code.
 */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { openTabPeer, type TabPeer } from '../../browser-client/peer/network.ts'
import { chooseRuntime, loadRuntime } from '../../browser-client/peer/runtime.ts'
import { workerClock } from '../../browser-client/peer/worker-clock.ts'
import { fetchProgram } from '../../browser-client/program.ts'
import { openTabCompute, type TabCompute } from '../../browser-client/worker/compute.ts'
import type { OpenedModel } from '../../engine/compute/compute.ts'
import type { Batch } from '../../protocols/core/tensor.ts'
import { memoryStore } from '../../protocols/shards/index.ts'
import { FrameStream } from '../../protocols/wire/stream.ts'
import { batch, perceptron, widths } from './perceptron.ts'
import { frameBytes, header, sink, sinkProtocol } from './sink.ts'
import { openTfjs, type TfjsBackend } from './tfjs.ts'

/** A data channel's buffer is filled to here and no further; more buys nothing (measured with Chromium 156). */
const bufferedBytesMax = 1 << 20

const program = await fetchProgram({ signal: new AbortController().signal })
const absolute = (path: string) => new URL(path, document.baseURI)
const clock = workerClock(absolute(program.entries.timerWorker))

interface Opened {
  compute: TabCompute
  model: OpenedModel
}
const opened = new Map<string, Opened>()
const tfjsSteps = new Map<string, (steps: number) => Promise<void>>()

/** Opens the model in a worker of its own on `backend`. */
async function openStarling(backend: 'wasm' | 'webgpu'): Promise<void> {
  const name = await chooseRuntime(backend === 'webgpu')
  const signal = new AbortController().signal
  const runtime = loadRuntime(program, name, { signal, onProgress: () => {} })
  const url = absolute(program.entries.computeWorker)
  await runtime
  const compute = openTabCompute({
    url,
    runtime,
    threads: 1,
    allowance: { mayRun: true, dutyCycle: 1 },
    clock,
  })
  const spec = {
    batch,
    loss: 'softmax_cross_entropy',
    optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
  } as const
  opened.set(backend, { compute, model: await compute.open(perceptron(), spec, { backend, threads: 1 }) })
}

/** Milliseconds for one round of `steps` local steps as a peer does them: parameters in, steps, parameters out. */
async function stepStarling(backend: string, steps: number): Promise<number> {
  const { compute, model } = opened.get(backend)!
  const batches = Array.from({ length: steps }, () => sample())
  const startedMs = performance.now()
  await compute.train({
    mode: 'steps',
    start: model.initial,
    batches,
    learningRates: batches.map(() => 1e-4),
  })
  return performance.now() - startedMs
}

/**
 * The share of the time that kernels get when they may have `share`, from `steps` steps without a throttle and as many
 * under it. The second task follows the first at once: a worker that has waited for work has rested, and may work on
 * that for a while.
 */
async function shareHeld(backend: string, share: number, steps: number): Promise<number> {
  const { compute, model } = opened.get(backend)!
  const batches = Array.from({ length: steps }, () => sample())
  const paced = async (dutyCycle: number) => {
    const endsMs: number[] = []
    compute.allow({ mayRun: true, dutyCycle })
    await compute.train(
      { mode: 'steps', start: model.initial, batches, learningRates: batches.map(() => 1e-4) },
      { onStep: () => void endsMs.push(performance.now()) },
    )
    return endsMs.at(-1)! - endsMs[0]!
  }
  const freeMs = await paced(1)
  return freeMs / (await paced(share))
}

function sample(): Batch {
  const data = Float32Array.from({ length: batch * widths[0] }, () => Math.random())
  const labels = Int32Array.from({ length: batch }, () => Math.floor(Math.random() * 10))
  return {
    inputs: { image: { dtype: 'float32', shape: [batch, widths[0]], data } },
    labels: { dtype: 'int32', shape: [batch], data: labels },
  }
}

async function openOther(backend: TfjsBackend): Promise<void> {
  tfjsSteps.set(backend, await openTfjs(backend))
}

/** Milliseconds for `steps` steps of TensorFlow.js. */
async function stepOther(backend: TfjsBackend, steps: number): Promise<number> {
  const startedMs = performance.now()
  await tfjsSteps.get(backend)!(steps)
  return performance.now() - startedMs
}

let peer: TabPeer | undefined

/** Joins the swarm of the benchmark; every peer throws away what it is sent, and says when all has come. */
async function join(bootstrap: string[]): Promise<string> {
  const self = { role: 'tab', backend: 'none', threads: 0, clientOnly: false } as const
  peer = await openTabPeer({
    key: await generateKeyPair('Ed25519'),
    store: memoryStore(),
    clock,
    bootstrap,
    self,
  })
  await peer.libp2p.handle(sinkProtocol, sink(clock))
  return peer.self
}

/** Addresses that another tab can dial for a direct connection; empty until the relay has given a place. */
function addresses(): string[] {
  const all = peer!.libp2p.getMultiaddrs().map((address) => address.toString())
  return all.filter((address) => address.includes('/webrtc'))
}

/**
 * Milliseconds to bring `bytes` to the peer at `address`, over Starling's framed stream, until it says that all is
 * there.
 */
async function sendFrames(address: string, bytes: number): Promise<number> {
  const stream = new FrameStream(await peer!.libp2p.dialProtocol(multiaddr(address), sinkProtocol), {
    peer: address,
    clock,
  })
  const frame = new Uint8Array(frameBytes)
  const startedMs = performance.now()
  await stream.send(header(bytes))
  for (let sent = 0; sent < bytes; sent += frameBytes) await stream.send(frame)
  for await (const _ of stream.frames) break
  const tookMs = performance.now() - startedMs
  stream.abort(new Error('measured'))
  return tookMs
}

/** Milliseconds to bring `bytes` to a bare WebSocket server. */
function sendWebSocket(url: string, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url)
    socket.binaryType = 'arraybuffer'
    socket.onerror = () => reject(new Error(`${url} cannot be reached`))
    socket.onopen = () => {
      const startedMs = performance.now()
      socket.onmessage = () => {
        resolve(performance.now() - startedMs)
        socket.close()
      }
      const frame = new Uint8Array(frameBytes)
      for (let sent = 0; sent < bytes; sent += frameBytes) socket.send(frame)
    }
  })
}

let raw: RTCPeerConnection | undefined
let channel: RTCDataChannel | undefined

/** The offer of a bare WebRTC connection, with all its candidates. */
async function offerRaw(): Promise<string> {
  raw = new RTCPeerConnection()
  channel = raw.createDataChannel('bench')
  await raw.setLocalDescription(await raw.createOffer())
  return described(raw)
}

/** The answer to it; whatever comes over the channel is thrown away, and one byte says that `bytes` have come. */
async function answerRaw(offer: string, bytes: number): Promise<string> {
  raw = new RTCPeerConnection()
  raw.ondatachannel = ({ channel }) => {
    let seen = 0
    channel.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      seen += data.byteLength
      if (seen < bytes) return
      seen = 0
      channel.send(Uint8Array.of(1))
    }
  }
  await raw.setRemoteDescription({ type: 'offer', sdp: offer })
  await raw.setLocalDescription(await raw.createAnswer())
  return described(raw)
}

async function acceptRaw(answer: string): Promise<void> {
  await raw!.setRemoteDescription({ type: 'answer', sdp: answer })
  if (channel!.readyState !== 'open') {
    await new Promise((resolve) => channel!.addEventListener('open', resolve, { once: true }))
  }
}

function described(connection: RTCPeerConnection): Promise<string> {
  return new Promise((resolve) => {
    const look = () => {
      if (connection.iceGatheringState === 'complete') resolve(connection.localDescription!.sdp)
    }
    connection.addEventListener('icegatheringstatechange', look)
    look()
  })
}

/** Milliseconds to bring `bytes` over the bare channel, in messages of 64 KiB, the most that every browser takes. */
async function sendRaw(bytes: number): Promise<number> {
  const to = channel!
  const message = new Uint8Array(1 << 16)
  to.bufferedAmountLowThreshold = bufferedBytesMax / 2
  const arrived = new Promise((resolve) => to.addEventListener('message', resolve, { once: true }))
  const startedMs = performance.now()
  for (let sent = 0; sent < bytes; sent += message.byteLength) {
    if (to.bufferedAmount > bufferedBytesMax) {
      await new Promise((resolve) => to.addEventListener('bufferedamountlow', resolve, { once: true }))
    }
    to.send(message)
  }
  await arrived
  return performance.now() - startedMs
}

/** What the driver calls. */
const bench = {
  openStarling,
  stepStarling,
  shareHeld,
  openOther,
  stepOther,
  join,
  addresses,
  sendFrames,
  sendWebSocket,
  offerRaw,
  answerRaw,
  acceptRaw,
  sendRaw,
}
export type BenchPage = typeof bench

Object.assign(globalThis, { bench })
