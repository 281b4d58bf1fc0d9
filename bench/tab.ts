/**
 * What a tab can do: how long a donor waits from the click to the first step, and then, in one run of one browser,
 * training steps beside TensorFlow.js, bytes to another tab and to a node beside the bare channels under them, and how
 * well a throttled worker keeps to its share.
 *
 * Everything that is compared is measured in turns, round by round, and a ratio is taken within each round; so a
 * machine that slows down slows both. Without a graphics card WebGPU is a software adapter: its rows say how two
 * programs compare on it, and nothing about graphics cards.
 */

import { copyFile, mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { findChromium } from '../node/build/chromium.mjs'
import { startPageServer } from '../node/network/page-server.ts'
import { openSwarmNode, passingHome } from '../node/network/swarm-node.ts'
import { type Spread, spreadText, tableText } from './statistics.ts'
import { firstStepRows } from './tab/first-step.ts'
import type { BenchPage } from './tab/page.ts'
import { rawWebSocketSink } from './tab/raw-websocket.ts'
import { rowOf, type TabRow } from './tab/row.ts'
import { sink, sinkProtocol } from './tab/sink.ts'

/** The page, where node/bin/bench.mjs has built it: beside this code's bundle. */
const folder = fileURLToPath(new URL('./bench-tab/', import.meta.url))

/** Rounds that are counted; the one before them is not. */
const rounds = 4

/** Local steps of one round of a run: what examples/glyphs has; fewer where a software adapter makes them. */
const steps = { wasm: 8, webgpu: 2 } as const

/** Bytes of one transfer: a few seconds over the slowest channel. */
const transferBytes = 16 << 20

/** Shares of the time that a donor may set. */
const shares = [0.25, 0.5, 0.75] as const

/** WebGPU also without a graphics card; see test/e2e/browser/chromium.ts. */
const flags = [
  '--no-sandbox',
  '--no-first-run',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--enable-unsafe-webgpu',
  '--enable-unsafe-swiftshader',
]

/** Measures all, two to four minutes; prints a table unless `json`. */
export async function benchTab({ json }: { json: boolean }): Promise<TabRow[]> {
  const executablePath = findChromium()
  if (executablePath === undefined)
    throw new Error('no Chromium: install it, or name one with STARLING_CHROMIUM')
  await copyTfjs()
  const server = await startPageServer({ folder, host: '127.0.0.1', port: 0, cardOf: () => undefined })
  const browser = await chromium.launch({ executablePath, args: flags })
  try {
    const open = () => openPage(browser, server.url)
    const rows = [
      ...(await firstStepRows(executablePath)),
      ...(await stepRows(await open())),
      ...(await throttleRows(await open())),
      ...(await linkRows(open)),
    ]
    if (!json) process.stdout.write(tableText([heading, ...rows.map(cellsOf)]))
    return rows
  } finally {
    await browser.close()
    await server.close()
  }
}

/** A page of the benchmark, in a profile of its own. */
class BenchTab {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  /** Calls a function of bench/tab/page.ts. */
  call<Name extends keyof BenchPage>(
    name: Name,
    ...words: Parameters<BenchPage[Name]>
  ): Promise<Awaited<ReturnType<BenchPage[Name]>>> {
    return this.page.evaluate(
      ([name, words]) => {
        const { bench } = globalThis as unknown as { bench: Record<string, (...words: unknown[]) => unknown> }
        return bench[name]!(...words)
      },
      [name, words] as [string, unknown[]],
    ) as Promise<Awaited<ReturnType<BenchPage[Name]>>>
  }
}

async function openPage(browser: Browser, url: string): Promise<BenchTab> {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(url)
  await page.waitForFunction(() => 'bench' in globalThis)
  return new BenchTab(page)
}

async function stepRows(tab: BenchTab): Promise<TabRow[]> {
  const rows: TabRow[] = []
  for (const backend of ['wasm', 'webgpu'] as const) {
    await tab.call('openStarling', backend)
    const isThere = await tab.call('openOther', backend).then(
      () => true,
      () => false,
    )
    const rate = (ms: number) => (1000 * steps[backend]) / ms
    const ours: number[] = []
    const theirs: number[] = []
    for (let round = 0; round <= rounds; round++) {
      const mine = rate(await tab.call('stepStarling', backend, steps[backend]))
      const other = isThere ? rate(await tab.call('stepOther', backend, steps[backend])) : Number.NaN
      if (round === 0) continue
      ours.push(mine)
      theirs.push(other)
    }
    rows.push(
      rowOf(
        { measure: `perceptron, ${backend}`, unit: 'steps/s', against: 'TensorFlow.js' },
        ours,
        isThere ? theirs : [],
      ),
    )
  }
  await tab.page.close()
  return rows
}

/** Steps of one look at the throttle: two seconds at a quarter of the time. */
const pacedSteps = 32

/** The share that is held: what the steps take without a throttle, by what they take under it; in turns. */
async function throttleRows(tab: BenchTab): Promise<TabRow[]> {
  await tab.call('openStarling', 'wasm')
  await tab.call('stepStarling', 'wasm', steps.wasm)
  const rows: TabRow[] = []
  for (const share of shares) {
    const held: number[] = []
    for (let round = 0; round < rounds; round++)
      held.push(100 * (await tab.call('shareHeld', 'wasm', share, pacedSteps)))
    const asked = held.map(() => 100 * share)
    const about = { measure: `throttle at ${100 * share} %`, unit: '% held', against: 'the share asked' }
    rows.push(rowOf(about, held, asked))
  }
  await tab.page.close()
  return rows
}

async function linkRows(open: () => Promise<BenchTab>): Promise<TabRow[]> {
  const node = await openSwarmNode({
    ...(await passingHome()),
    listen: ['/ip4/127.0.0.1/tcp/0/ws'],
    bootstrap: [],
    relay: true,
    self: { role: 'coordinator', backend: 'none', threads: 0, clientOnly: false },
  })
  const raw = await rawWebSocketSink(transferBytes)
  try {
    await node.libp2p.handle(sinkProtocol, sink())
    const [address] = node.addresses()
    const [a, b] = [await open(), await open()]
    await a.call('join', [address!])
    await b.call('join', [address!])
    const toNode = await inTurns(
      () => a.call('sendFrames', address!, transferBytes),
      () => a.call('sendWebSocket', raw.url, transferBytes),
    )
    const rows = [rowOf({ measure: 'tab to node', unit: 'MB/s', against: 'bare WebSocket' }, ...toNode)]
    const direct = await directAddress(b)
    if (direct === undefined) return rows // a machine without a network interface: WebRTC finds no path
    await a.call('acceptRaw', await b.call('answerRaw', await a.call('offerRaw'), transferBytes))
    const toTab = await inTurns(
      () => a.call('sendFrames', direct, transferBytes),
      () => a.call('sendRaw', transferBytes),
    )
    return [...rows, rowOf({ measure: 'tab to tab', unit: 'MB/s', against: 'bare data channel' }, ...toTab)]
  } finally {
    await raw.close()
    await node.close()
  }
}

/** Where another tab dials `tab`; its place at the relay comes within a second or two. */
async function directAddress(tab: BenchTab): Promise<string | undefined> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const [first] = await tab.call('addresses')
    if (first !== undefined) return first
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return undefined
}

/** MB/s of both, for every round that counts. */
async function inTurns(
  ours: () => Promise<number>,
  theirs: () => Promise<number>,
): Promise<[number[], number[]]> {
  const rates: [number[], number[]] = [[], []]
  const rateOf = (ms: number) => transferBytes / 1e3 / ms
  for (let round = 0; round <= rounds; round++) {
    const pair = [rateOf(await ours()), rateOf(await theirs())] as const
    if (round === 0) continue
    rates[0].push(pair[0])
    rates[1].push(pair[1])
  }
  return rates
}

const heading = ['', 'unit', 'Starling', 'against', '', 'ratio']

function cellsOf({ measure, unit, ours, against, theirs, ratio }: TabRow): string[] {
  const text = (spread: Spread | undefined, digits: number) =>
    spread === undefined ? 'cannot' : spreadText(spread, digits)
  return [measure, unit, text(ours, 1), against, text(theirs, 1), text(ratio, 2)]
}

async function copyTfjs(): Promise<void> {
  const from = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))
  await mkdir(join(folder, 'tfjs'), { recursive: true })
  for (const name of [
    'tfjs-backend-wasm.wasm',
    'tfjs-backend-wasm-simd.wasm',
    'tfjs-backend-wasm-threaded-simd.wasm',
  ])
    await copyFile(join(from, name), join(folder, 'tfjs', name))
}
