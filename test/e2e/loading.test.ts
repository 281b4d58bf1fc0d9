/** What a donor's browser loads before the click and after it, and that one donor has one donating tab. */

import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { iceServers } from '../../browser-client/peer/ice-servers.ts'
import { wideModel } from '../integration/peers/wide-model.ts'
import { hasNetwork, openBrowser } from './browser/chromium.ts'
import { clickStart, donate } from './browser/donate.ts'
import { startTabSwarm } from './browser/tab-swarm.ts'

/** The promise to a donor on a slow line: the page answers after half a second at 1 Mbit/s. */
const scriptBytesMax = 60_000

/** Nobody else comes, so the tab waits, and nothing is trained. */
const job = `
name: waiting
model: { file: wide.onnx, loss: softmax_cross_entropy }
data: { kind: glyphs, seed: 1, train: 500, validation: 100 }
train: { optimizer: sgd, learning_rate: 0.01, batch_size: 16, local_steps: 2 }
swarm: { min_peers: 2, codec: f32 }
convergence: { metric: val_accuracy, mode: max, target: 1, max_rounds: 10, max_minutes: 5 }
`

test('the page is small before the click, loads the rest from its own origin after it, and tells a second tab to go to the first', async () => {
  const { link, observer } = await startTabSwarm({ nodes: 0, job, files: { 'wide.onnx': wideModel(16) } })
  const browser = await openBrowser()
  const tab = await browser.newTab()
  const { page, context } = tab
  const scripts: Promise<Buffer>[] = []
  page.on('response', (response) => {
    if (response.request().resourceType() === 'script') scripts.push(response.body())
  })
  await page.goto(link)
  await page.getByRole('heading', { name: 'Lend this tab to waiting' }).waitFor()
  await page.waitForLoadState('networkidle')
  const sizes = (await Promise.all(scripts)).map((script) => gzipSync(script, { level: 9 }).byteLength)
  expect(sizes.length).toBeGreaterThan(0)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(scriptBytesMax)
  expect(page.workers()).toEqual([])
  expect(tab.requests.filter((url) => /peer-|ort-|worker/.test(url))).toEqual([])
  expect(observer.tabs()).toEqual([])
  await tab.screenshot('offered')

  await donate(tab, link, { mayUseGpu: false })
  await page.getByText('Computes on wasm').waitFor()
  await observer.until('the tab', () => observer.tabs().length === 1)
  const origin = new URL(link).origin
  expect(tab.requests.some((url) => /peer-\w+\.js$/.test(url))).toBe(true)
  expect(tab.requests.some((url) => url.endsWith('.wasm'))).toBe(true)
  expect(tab.requests.filter((url) => !url.startsWith(origin) && !/^(data|blob):/.test(url))).toEqual([])

  const second = await context.newPage()
  await second.goto(link)
  await clickStart({ page: second })
  await second.getByText('another tab of this browser').first().waitFor()
  expect(second.workers()).toEqual([])
  expect(observer.tabs()).toHaveLength(1)
  expect(tab.complaints).toEqual([])
})

test.runIf(hasNetwork)(
  'the coordinator of a link tells a browser the address that WebRTC needs behind a router',
  async () => {
    const { link } = await startTabSwarm({ nodes: 0, job, files: { 'wide.onnx': wideModel(16) } })
    const { page } = await (await openBrowser()).newTab()
    const invited = new URLSearchParams(new URL(link).hash.slice(1)).getAll('at')
    const kinds = await page.evaluate(async (servers) => {
      const connection = new RTCPeerConnection({ iceServers: servers })
      connection.createDataChannel('any')
      const gathered = Promise.withResolvers<void>()
      const found: (string | null)[] = []
      connection.onicecandidate = ({ candidate }) => {
        if (candidate === null) gathered.resolve()
        else found.push(candidate.type)
      }
      await connection.setLocalDescription(await connection.createOffer())
      await gathered.promise
      connection.close()
      return found
    }, iceServers(invited))
    expect(kinds).toContain('srflx') // "server reflexive": as the server saw it
  },
)
