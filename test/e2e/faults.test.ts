/** What happens to tabs in the middle of a run: one dies, the relay dies, a graphics device is lost. */

import type { Page, Worker } from 'playwright-core'
import { expect, test } from 'vitest'
import type { Line, Program } from '../integration/peers/program.ts'
import { wideModel } from '../integration/peers/wide-model.ts'
import { hasNetwork, openBrowser } from './browser/chromium.ts'
import { donate, insistOn } from './browser/donate.ts'
import { endlessJob, lastRound, roundBy, roundOf } from './browser/endless.ts'
import { startTabSwarm } from './browser/tab-swarm.ts'

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

test('a tab that dies in the middle of a reduce costs its round nothing but its update', async () => {
  const files = { 'wide.onnx': wideModel(2048) }
  const { link, nodes, nodeIds, observer } = await startTabSwarm({ nodes: 2, job: endlessJob(3), files })
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
    const swarm = await startTabSwarm({ nodes: 1, job: endlessJob(3), files })
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
    await nodes[0]!.committed(atDeath + 10)
    await roundOf(nodes[0]!, all)
    await observer.until('rounds after the death', () => Math.max(...observer.comparable(3)) > atDeath + 10)
    for (const round of observer.comparable(3).filter((round) => round > atDeath)) {
      expect(new Set(observer.roots.get(round)!.values()).size, `roots of round ${round}`).toBe(1)
    }
  },
)

test('a tab whose graphics device is lost stays in the run', async () => {
  const files = { 'wide.onnx': wideModel(64) }
  const { link, nodes, nodeIds, observer } = await startTabSwarm({ nodes: 2, job: endlessJob(3), files })
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
  const next = gave.length === 3 ? later : await roundBy(nodes[0]!, observer.tabs()[0]!)
  expect((next.contributors as { peer: string }[]).map(({ peer }) => peer).sort()).toEqual([...all].sort())
})
