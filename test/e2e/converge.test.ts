/**
 * Tabs and nodes in one run: two tabs, one on WebAssembly and one on WebGPU, two nodes and a coordinator, to the
 * verdict. Their swarm is a private one: tabs have its key from the link, and meet over WebRTC all the same.
 */

import { expect, test } from 'vitest'
import { wideModel } from '../integration/peers/wide-model.ts'
import { openBrowser } from './browser/chromium.ts'
import { donate, insistOn } from './browser/donate.ts'
import { startTabSwarm } from './browser/tab-swarm.ts'

/**
 * Two linear layers: a software adapter takes a hundred times as long for a convolution, and computes it no more truly.
 */
const width = 64

const job = `
name: tabs-and-nodes
model: { file: mlp.onnx, loss: softmax_cross_entropy }
data: { kind: glyphs, seed: 1, train: 4000, validation: 500 }
train: { optimizer: adamw, learning_rate: 0.003, batch_size: 16, local_steps: 4 }
swarm: { min_peers: 4, codec: int8, outer: { kind: nesterov, learning_rate: 0.7, momentum: 0.6 } }
convergence: { metric: val_accuracy, mode: max, target: 0.8, patience: 100, max_rounds: 500, max_minutes: 5 }
`

test('two tabs, WebAssembly and WebGPU, and two nodes train one model until it converges, and hold the same root after every round', async () => {
  const { link, coordinator, nodes, nodeIds, observer } = await startTabSwarm({
    nodes: 2,
    job,
    files: { 'mlp.onnx': wideModel(width) },
    isPrivate: true,
  })
  const browser = await openBrowser()
  const tabs = [await browser.newTab(), await browser.newTab()]
  await donate(tabs[0]!, link, { mayUseGpu: false })
  await insistOn('webgpu', tabs[1]!)
  await donate(tabs[1]!, link, { mayUseGpu: true })

  await observer.until('a round of four peers', () => observer.comparable(4).length > 0)
  const [a, b] = tabs
  await a!.page.getByText('Computes on wasm').waitFor()
  await b!.page.getByText('Computes on webgpu').waitFor()
  await a!.screenshot('training-wasm')
  await b!.screenshot('training-webgpu')
  expect(await coordinator.said('verdict')).toMatchObject({ verdict: 'converged' })
  for (const node of nodes) expect(await node.said('ended')).toMatchObject({ end: 'converged' })
  for (const { page } of tabs) await page.getByText('The run is over').first().waitFor()

  expect(observer.tabs()).toHaveLength(2)
  const all = [...nodeIds, ...observer.tabs()].sort()
  const compared = observer.comparable(4)
  expect(compared.length).toBeGreaterThan(3)
  for (const round of compared) {
    const roots = observer.roots.get(round)!
    expect([...roots.keys()].sort()).toEqual(all)
    expect(new Set(roots.values()).size, `roots of round ${round}`).toBe(1)
  }
  // both tabs' updates are in what was averaged, and the two computed on different devices
  const contributors = new Set(
    nodes[0]!
      .all('committed')
      .flatMap(({ contributors }) => (contributors as { peer: string }[]).map(({ peer }) => peer)),
  )
  expect([...contributors].sort()).toEqual(all)

  const origin = new URL(link).origin
  for (const { requests, complaints } of tabs) {
    expect(complaints).toEqual([])
    expect(requests.filter((url) => new URL(url).origin !== origin && !/^(data|blob):/.test(url))).toEqual([])
  }
})
