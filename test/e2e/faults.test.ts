/** What happens to tabs in the middle of a run: one dies, the relay dies, one reloads, one is told to stop. */

import type { Page, Worker } from 'playwright-core'
import { expect, test } from 'vitest'
import type { Line, Program } from '../integration/peers/program.ts'
import { wideModel } from '../integration/peers/wide-model.ts'
import { hasNetwork, openBrowser } from './browser/chromium.ts'
import { cpuSeconds } from './browser/cpu.ts'
import { clickStart, donate, insistOn } from './browser/donate.ts'
import { startTabSwarm } from './browser/tab-swarm.ts'

/** A job that does not end by itself while a test runs. `width`: hidden units of its model. */
const endless = (peers: number) => `
name: endless
model: { file: wide.onnx, loss: softmax_cross_entropy }
data: { kind: glyphs, seed: 1, train: 4000, validation: 100 }
train: { optimizer: sgd, learning_rate: 0.01, batch_size: 16, local_steps: 2 }
swarm: { min_peers: ${peers}, codec: f32, outer: { kind: nesterov, learning_rate: 0.7, momentum: 0.6 } }
convergence: { metric: val_accuracy, mode: max, target: 1, patience: 1000, evaluate_every: 50, max_rounds: 100000, max_minutes: 5 }
`

const lastRound = (node: Program): number => (node.all('committed').at(-1)?.round as number) ?? -1

/** What the page's log says of where model and data came from: bytes over the network, and bytes that were here. */
const fetched = /Model and data: ([\d,]+) bytes fetched, ([\d,]+) from this browser's storage/

const bytesOf = (text: string): number => Number(text.replaceAll(',', ''))

/** The compute worker of `page`, once there is one; it keeps the graphics devices that it gets in `devices`. */
function keepingDevices(page: Page): Promise<Worker> {
  return new Promise((resolve) => {
    page.on('worker', async (worker) => {
      if (!worker.url().includes('compute-worker')) return
      await worker.evaluate(() => {
        const devices: GPUDevice[] = []
        Object.assign(globalThis, { devices })
        const { requestDevice } = GPUAdapter.prototype
        GPUAdapter.prototype.requestDevice = async function (this: GPUAdapter, ...words) {
          const device = await requestDevice.apply(this, words)
          devices.push(device)
          return device
        }
      })
      resolve(worker)
    })
  })
}

/** Whether a line tells of a round that has an update of `peer` in it. */
const givenBy =
  (peer: string) =>
  ({ event, contributors }: Line) =>
    event === 'committed' && (contributors as { peer: string }[]).some((one) => one.peer === peer)

/** The first round that `node` commits after now with exactly `peers`. */
function roundOf(node: Program, peers: readonly string[]): Promise<Line> {
  const wanted = [...peers].sort().join()
  const isWanted = ({ event, electorate }: Line) =>
    event === 'committed' && (electorate as string[])?.join() === wanted
  return node.line(`a round of ${peers.length} peers`, isWanted, { from: node.lines.length })
}

test('a tab that dies in the middle of a reduce costs its round nothing but its update', async () => {
  const files = { 'wide.onnx': wideModel(2048) }
  const { link, nodes, nodeIds, observer } = await startTabSwarm({ nodes: 2, job: endless(3), files })
  const browser = await openBrowser()
  const tab = await browser.newTab()
  await donate(tab, link, { mayUseGpu: false })
  const [a, b] = nodes as [Program, Program]
  await observer.until('the tab', () => observer.tabs().length === 1)
  const all = [...nodeIds, ...observer.tabs()]
  await roundOf(a, all)

  const isReduce = ({ event, phase }: Line) => event === 'averaging' && phase === 'reducing'
  const { round } = (await a.line('a reduce', isReduce, { from: a.lines.length })) as unknown as {
    round: number
  }
  const session = await tab.context.newCDPSession(tab.page)
  session.send('Page.crash').catch(() => {}) // nobody is left to answer

  const without = await roundOf(a, nodeIds)
  expect(without.round).toBeGreaterThanOrEqual(round) // the fault hit: the tab was a member of the round before
  expect((await a.committed((without.round as number) - 1)).electorate).toContain(observer.tabs()[0])
  const after = (without.round as number) + 3
  const roots = await Promise.all([a, b].map(async (node) => (await node.committed(after)).root))
  expect(roots[0]).toBe(roots[1])
})

test.skipIf(!hasNetwork)(
  'two tabs that have found each other go on when the coordinator, their relay, is killed',
  async () => {
    const files = { 'wide.onnx': wideModel(64) }
    const swarm = await startTabSwarm({ nodes: 1, job: endless(3), files })
    const { link, nodes, nodeIds, coordinator, observer } = swarm
    const browser = await openBrowser()
    const tabs = [await browser.newTab(), await browser.newTab()]
    for (const tab of tabs) await donate(tab, link, { mayUseGpu: false })
    await observer.until('two tabs', () => observer.tabs().length === 2)
    const all = [...nodeIds, ...observer.tabs()].sort()
    await roundOf(nodes[0]!, all)
    // each tab's table of peers shows the other, linked directly
    for (const { page } of tabs) {
      const other = page.getByRole('row').filter({ hasText: 'tab' })
      await other.getByText(/^direct/).waitFor()
    }

    coordinator.kill('SIGKILL')
    await coordinator.ended
    const atDeath = lastRound(nodes[0]!)
    await nodes[0]!.committed(atDeath + 20)
    await roundOf(nodes[0]!, all)
    await observer.until('rounds after the death', () => Math.max(...observer.comparable(3)) > atDeath + 20)
    for (const round of observer.comparable(3).filter((round) => round > atDeath)) {
      expect(new Set(observer.roots.get(round)!.values()).size, `roots of round ${round}`).toBe(1)
    }
  },
)

test('a tab whose graphics device is lost stays in the run', async () => {
  const files = { 'wide.onnx': wideModel(64) }
  const { link, nodes, nodeIds, observer } = await startTabSwarm({ nodes: 2, job: endless(3), files })
  const browser = await openBrowser()
  const tab = await browser.newTab()
  const compute = keepingDevices(tab.page)
  await insistOn('webgpu', tab)
  await donate(tab, link, { mayUseGpu: true })
  await observer.until('the tab', () => observer.tabs().length === 1)
  const all = [...nodeIds, ...observer.tabs()]
  await roundOf(nodes[0]!, all)

  const destroyed = await (await compute).evaluate(() => {
    const { devices } = globalThis as unknown as { devices: GPUDevice[] }
    for (const device of devices) device.destroy()
    return devices.length
  })
  expect(destroyed).toBeGreaterThan(0)
  await tab.page
    .getByText(/device was lost|lost its device/)
    .first()
    .waitFor()
  const later = await roundOf(nodes[0]!, all)
  const gave = later.contributors as { peer: string }[]
  const next =
    gave.length === 3
      ? later
      : await nodes[0]!.line('a round with the tab', givenBy(observer.tabs()[0]!), {
          from: nodes[0]!.lines.length,
        })
  expect((next.contributors as { peer: string }[]).map(({ peer }) => peer).sort()).toEqual([...all].sort())
})

test('a tab that reloads is the same peer and takes model and data from its own storage; Stop ends its work within a second', async () => {
  const files = { 'wide.onnx': wideModel(64) }
  const { link, nodes, nodeIds, observer } = await startTabSwarm({ nodes: 2, job: endless(3), files })
  const browser = await openBrowser()
  const tab = await browser.newTab()
  const { page } = tab
  await donate(tab, link, { mayUseGpu: false })
  await observer.until('the tab', () => observer.tabs().length === 1)
  const all = [...nodeIds, ...observer.tabs()]
  await roundOf(nodes[0]!, all)
  const sizes = await page.getByText(fetched).textContent()
  const [first, kept] = fetched.exec(sizes!)!.slice(1).map(bytesOf)
  expect(first).toBeGreaterThan(4_000 * 28 * 28)
  expect(kept).toBe(0)

  await page.reload()
  await clickStart(tab)
  await roundOf(nodes[0]!, all)
  const again = fetched
    .exec((await page.getByText(fetched).textContent())!)!
    .slice(1)
    .map(bytesOf)
  expect(again[0]).toBe(0)
  expect(again[1]).toBeGreaterThan(4_000 * 28 * 28)
  expect(observer.tabs()).toHaveLength(1)

  await page.getByRole('button', { name: 'Stop', exact: true }).click()
  const clickedMs = performance.now()
  await page.getByText('Thank you.').first().waitFor()
  expect(performance.now() - clickedMs).toBeLessThan(1_000)
  expect(page.workers()).toEqual([])
  const before = cpuSeconds(browser.pid)
  const restMs = 1_000
  await new Promise((resolve) => setTimeout(resolve, restMs))
  expect((cpuSeconds(browser.pid) - before) / (restMs / 1000)).toBeLessThan(0.3)
  // the swarm goes on without it
  await nodes[0]!.committed(lastRound(nodes[0]!) + 3)
  expect(tab.complaints).toEqual([])
})
