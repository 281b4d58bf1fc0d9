/**
 * One donor's day with a tab, in a run that goes on: the first visit, the next one, giving less, pausing, and the four
 * ways of leaving. The nodes and an observer say what the run had of it; the page is asked only what a donor reads
 * there.
 */

import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import type { Line, Program } from '../integration/peers/program.ts'
import { wideModel, wideModelParameters } from '../integration/peers/wide-model.ts'
import { openOwnBrowser, type TestBrowser, type TestTab } from './browser/chromium.ts'
import { cpuSeconds } from './browser/cpu.ts'
import { clickStart, donate } from './browser/donate.ts'
import { endlessJob, lastRound, roundBy, roundOf, weightOf } from './browser/endless.ts'
import { startTabSwarm, type TabSwarm } from './browser/tab-swarm.ts'

const width = 64

/** Bytes of one whole update in the job's codec, f32. */
const updateBytes = 4 * wideModelParameters(width)

/** What the data set takes at least: one byte a pixel. */
const dataBytesMin = 4_000 * 28 * 28

/**
 * Rounds over which bytes are counted. A report may come as late as a short round is long, so one more or less is in
 * the count.
 */
const countedRounds = 16

/** A day's limit, of which the run of a test uses nothing to speak of. */
const dataCapBytes = 1e9

interface Day extends TabSwarm {
  browser: TestBrowser
  tab: TestTab
  page: Page
  /** A node, which tells of the run's rounds. */
  node: Program
  /** Peer id of the tab. */
  self: string
}

test('a donor comes, comes back, gives less, pauses, stops, finishes and closes the tab, and the run has of it what it should', async () => {
  const day = await firstVisit()
  await tellsASecondTab(day)
  await nextVisit(day)
  await savesData(day)
  await changesThreads(day)
  await givesLess(day)
  await pauses(day)
  await stops(day)
  await finishes(day)
  await closesTheTab(day)
  expect(day.tab.complaints).toEqual([])
}, 240_000)

async function firstVisit(): Promise<Day> {
  const files = { 'wide.onnx': wideModel(width) }
  const swarm = await startTabSwarm({ nodes: 2, job: endlessJob(3, { localSteps: 8 }), files })
  const browser = await openOwnBrowser()
  const tab = await browser.newTab()
  const { page } = tab
  await donate(tab, swarm.link, { mayUseGpu: false, dataCapBytes, threads: 2 })
  await swarm.observer.until('the tab', () => swarm.observer.tabs().length === 1)
  const self = swarm.observer.tabs()[0]!
  const node = swarm.nodes[0]!
  await roundOf(node, [...swarm.nodeIds, self])
  const loaded = await loadedBytes(page)
  expect(loaded.fetched).toBeGreaterThan(dataBytesMin)
  expect(loaded.kept).toBe(0)
  expect(await programBytes(page)).toBeGreaterThan(1e6)
  process.stdout.write(`first step after the click, nothing kept: ${await firstStep(page)}\n`)
  const origin = new URL(swarm.link).origin
  expect(tab.requests.filter((url) => !url.startsWith(origin) && !/^(data|blob):/.test(url))).toEqual([])
  return { ...swarm, browser, tab, page, node, self }
}

async function tellsASecondTab({ tab: { context }, link, observer }: Day): Promise<void> {
  const second = await context.newPage()
  await second.goto(link)
  await clickStart({ page: second })
  await second.getByText('another tab of this browser').first().waitFor()
  expect(second.workers()).toEqual([])
  expect(observer.tabs()).toHaveLength(1)
  await second.close()
}

/**
 * The page is reloaded: the same peer, and nothing comes over the network again, neither program nor model nor data.
 */
async function nextVisit({ tab, page, node, self, observer }: Day): Promise<void> {
  // three quarters of the day's data are used from here on
  await page.addInitScript((bytes) => {
    const two = (value: number) => String(value).padStart(2, '0')
    const today = new Date()
    const day = `${today.getFullYear()}-${two(today.getMonth() + 1)}-${two(today.getDate())}`
    localStorage.setItem('starling/data-day', JSON.stringify({ day, bytes }))
  }, 0.75 * dataCapBytes)
  await page.reload()
  await clickStart(tab)
  // a round before this visit's first step may still have an update of the last one
  process.stdout.write(`first step after the click, all kept: ${await firstStep(page)}\n`)
  await roundBy(node, self)
  const loaded = await loadedBytes(page)
  expect(loaded.fetched).toBe(0)
  expect(loaded.kept).toBeGreaterThan(dataBytesMin)
  expect(await programBytes(page)).toBe(0)
  expect(observer.tabs()).toEqual([self])
}

/**
 * The governor saves from seven tenths of the day's limit on: half of the bytes move, and all of them when there is no
 * limit.
 */
async function savesData({ page, self, observer }: Day): Promise<void> {
  await page.getByText('Saving data').waitFor()
  // int4 takes 0.53 bytes of each 4; a mean is taken whole; nothing is summed for others, so nothing else is moved
  const saving = await observer.bytesPerRound(self, countedRounds)
  expect(saving.up / updateBytes).toBeGreaterThan(0.13 * (1 - 1 / countedRounds))
  expect(saving.up / updateBytes).toBeLessThan(0.25)
  expect(saving.down / updateBytes).toBeGreaterThan(0.9)
  expect(saving.down / updateBytes).toBeLessThan(1.2)
  await page.getByRole('switch', { name: 'Limit the data of a day' }).click()
  await page.getByText('Saving no data any more').waitFor()
  const whole = await observer.bytesPerRound(self, countedRounds)
  expect(whole.up / updateBytes).toBeGreaterThan(0.9)
  expect((saving.up + saving.down) / (whole.up + whole.down)).toBeLessThan(0.65)
}

/**
 * The page is isolated, so WebAssembly has the two threads that were asked for; it has one a moment after the donor
 * says so.
 */
async function changesThreads({ page, node, self }: Day): Promise<void> {
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true)
  await page.getByText('WASM, 2 threads').waitFor()
  await page.getByRole('slider', { name: 'Processor threads' }).fill('1')
  await page.getByText('WASM, 1 thread)').waitFor()
  await roundBy(node, self)
}

/** With a twentieth of the time the tab is given a small part of what a node is given, so that nobody waits for it. */
async function givesLess({ page, node, nodeIds, self }: Day): Promise<void> {
  await page.getByRole('slider', { name: 'Share of the time' }).fill('0.05')
  const isLess = (line: Line) => {
    const own = line.event === 'committed' ? weightOf(line, self) : 0
    return own > 0 && 4 * own <= Math.max(...nodeIds.map((id) => weightOf(line, id)))
  }
  await node.line('a round with few samples of the tab', isLess, { from: node.lines.length })
  await page.getByRole('slider', { name: 'Share of the time' }).fill('1')
}

async function pauses({ page, node, nodeIds, self }: Day): Promise<void> {
  await page.getByRole('button', { name: 'Pause', exact: true }).click()
  await page.getByRole('heading', { level: 1, name: 'Paused, as you asked.' }).waitFor()
  const without = await roundOf(node, nodeIds)
  await node.committed((without.round as number) + 3)
  await page.getByRole('button', { name: 'Resume', exact: true }).click()
  await roundBy(node, self)
}

/**
 * All work ends within a second, and the swarm goes on. The second is what the page promises to a donor, also on a
 * machine that has too much to do: the work is ended and not waited for.
 */
async function stops({ browser, page, node, nodeIds }: Day): Promise<void> {
  await page.getByRole('button', { name: 'Stop', exact: true }).click()
  const clickedMs = performance.now()
  await page.getByText('Thank you.').first().waitFor()
  expect(performance.now() - clickedMs).toBeLessThan(1_000)
  expect(page.workers()).toEqual([])
  const before = cpuSeconds(browser.pid)
  const restMs = 1_000
  await new Promise((resolve) => setTimeout(resolve, restMs))
  expect((cpuSeconds(browser.pid) - before) / (restMs / 1000)).toBeLessThan(0.3)
  await roundOf(node, nodeIds)
  await node.committed(lastRound(node) + 3)
}

/** The round of the click still has the tab's update; then it says goodbye, and the others go on. */
async function finishes({ tab, page, node, nodeIds, self, observer }: Day): Promise<void> {
  await donateAgain(tab)
  await roundBy(node, self)
  const { round } = observer.report(self)!
  await page.getByRole('button', { name: 'Finish this round' }).click()
  await page.getByText('Thank you.').first().waitFor()
  await observer.until('a goodbye', () => observer.departures.at(-1)?.peer === self)
  expect(observer.departures.at(-1)).toMatchObject({ peer: self, reason: 'left' })
  await roundOf(node, nodeIds)
  const counted = node.all('committed').filter((line) => weightOf(line, self) > 0)
  expect(counted.at(-1)!.round).toBeGreaterThanOrEqual(round)
}

/**
 * A tab that is closed says goodbye too: of the rounds after its last update it is a member of no more than the next.
 */
async function closesTheTab({ tab, page, node, nodeIds, self, observer }: Day): Promise<void> {
  await donateAgain(tab)
  await roundBy(node, self)
  await page.close({ runBeforeUnload: true })
  const without = await roundOf(node, nodeIds)
  const counted = node.all('committed').filter((line) => weightOf(line, self) > 0)
  expect((without.round as number) - (counted.at(-1)!.round as number)).toBeLessThanOrEqual(2)
  await observer.until(
    'a departure',
    () => observer.departures.filter(({ peer }) => peer === self).length > 1,
  )
  expect(observer.departures.at(-1)).toMatchObject({ peer: self, reason: 'left' })
  await node.committed((without.round as number) + 3)
}

async function donateAgain(tab: TestTab): Promise<void> {
  await tab.page.getByRole('button', { name: 'Donate again' }).click()
  await clickStart(tab)
}

/** What the page's log says of where model and data came from: bytes over the network, and bytes that were here. */
async function loadedBytes(page: Page): Promise<{ fetched: number; kept: number }> {
  const words = /Model and data: ([\d,]+) bytes fetched, ([\d,]+) from this browser's storage/
  const [, fetched, kept] = words.exec((await page.getByText(words).textContent())!)!
  const bytesOf = (text: string): number => Number(text.replaceAll(',', ''))
  return { fetched: bytesOf(fetched!), kept: bytesOf(kept!) }
}

/** What the page says that it took from the click to the first step. */
async function firstStep(page: Page): Promise<string> {
  const tile = page.locator('.tiles div').filter({ hasText: 'from your click to the first step' })
  const time = tile.getByText(/^[\d.]+\s(s|min)$/)
  await time.waitFor()
  return (await time.textContent())!
}

/**
 * Bytes of the peer, its workers and the runtime that came over the network since the page was opened, not from its
 * cache.
 */
function programBytes(page: Page): Promise<number> {
  return page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .filter(({ name }) => /\/(peer|compute-worker|timer-worker)-\w+\.js$|\.mjs$|\.wasm$/.test(name))
      .reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).transferSize, 0),
  )
}
