/** What the page does about a donation, without a browser: when it starts, what it passes on, and how it ends. */

import { expect, test } from 'vitest'
import type {
  Donation,
  DonationInit,
  DonationSnapshot,
  WorkLimits,
} from '../../../browser-client/donation.ts'
import { DonorPage, type DonorPageInit } from '../../../browser-client/page/donor-page.ts'
import { keptIn, type TextStorage } from '../../../browser-client/page/kept.ts'
import { logLinesMax } from '../../../browser-client/page/log-buffer.ts'
import { firstSnapshot } from '../../../browser-client/snapshot.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { card, fragment, scenes } from '../../e2e/page/scenes.ts'

/** `localStorage` as a map. */
class MapStorage implements TextStorage {
  readonly #map = new Map<string, string>()
  getItem = (name: string) => this.#map.get(name) ?? null
  setItem = (name: string, value: string) => void this.#map.set(name, value)
  removeItem = (name: string) => void this.#map.delete(name)
}

/** A page with a peer behind it that does nothing but note what it was told. */
class Table {
  readonly told: (WorkLimits | 'finish' | 'stop')[] = []
  readonly page: DonorPage
  readonly storage: MapStorage
  nowMs = Date.UTC(2026, 10, 22, 15)
  loads = 0
  init: DonationInit | undefined
  /** Lets the peer's start resolve; by itself unless `isSlow`. */
  started: (donation?: Donation) => void = () => {}

  constructor({
    isSlow = false,
    storage = new MapStorage(),
    ...rest
  }: Partial<DonorPageInit> & { isSlow?: boolean; storage?: MapStorage } = {}) {
    this.storage = storage
    const donation: Donation = {
      limit: (limits) => void this.told.push(limits),
      finish: async () => void this.told.push('finish'),
      stop: async () => void this.told.push('stop'),
    }
    this.page = new DonorPage({
      loadPeer: async () => {
        this.loads++
        return {
          startDonation: (init) => {
            this.init = init
            return new Promise((resolve) => {
              this.started = () => resolve(donation)
              if (!isSlow) resolve(donation)
            })
          },
        }
      },
      fetchCard: async () => card,
      kept: keptIn(storage),
      now: () => this.nowMs,
      calendar: (ms) => ({
        day: new Date(ms).toISOString().slice(0, 10),
        weekday: 0,
        minute: Math.floor(ms / 60_000) % 1440,
      }),
      cores: 8,
      ...rest,
    })
  }

  async offered(): Promise<this> {
    await this.page.open(fragment)
    return this
  }

  async giving(): Promise<this> {
    await this.offered()
    await this.page.start()
    return this
  }

  say(changes: Partial<DonationSnapshot> = {}): void {
    this.init?.onSnapshot({ ...scenes.training, ...changes })
  }
}

const stageOf = ({ page }: Table) => page.stage.value

test('nothing is loaded or started before the click', async () => {
  const table = await new Table().offered()
  for (let second = 0; second < 60; second++) table.page.tick()
  expect(stageOf(table)).toEqual({ kind: 'offered', card, consent: undefined })
  expect(table.loads).toBe(0)
  await table.page.start()
  expect(table.loads).toBe(1)
  expect(table.init?.invitation).toEqual({ job: card.job, addresses: [expect.stringContaining('/ws/p2p/')] })
})

test('a second click does not start a second peer', async () => {
  const table = await new Table().offered()
  await Promise.all([table.page.start(), table.page.start()])
  expect(table.loads).toBe(1)
})

test('the donation is told its limits whenever they change, and only then', async () => {
  const table = await new Table().giving()
  table.page.tick()
  table.page.observe({ kind: 'battery', isOnBattery: true })
  table.page.tick()
  table.page.observe({ kind: 'battery', isOnBattery: false })
  table.page.change({ dutyCycle: 0.25 })
  const limits = table.told.map((one) => (typeof one === 'string' ? one : [one.mayRun, one.dutyCycle]))
  expect(table.init?.limits).toMatchObject({ mayRun: true, dutyCycle: 0.5 })
  expect(limits).toEqual([
    [false, 0.5],
    [true, 0.5],
    [true, 0.25],
  ])
})

test('a pause of before does not keep a new donation from running', async () => {
  const table = await new Table().giving()
  table.page.pause()
  await table.page.stop()
  await table.page.open(fragment)
  await table.page.start()
  expect(table.init?.limits.mayRun).toBe(true)
})

test('consent is remembered for its owner, changes only the question, and can be taken back', async () => {
  const { storage } = await new Table().giving()
  const again = await new Table({ storage }).offered()
  expect(stageOf(again)).toMatchObject({
    kind: 'offered',
    consent: { owner: card.owner, givenMs: again.nowMs },
  })
  expect(again.loads).toBe(0)
  const stranger = { ...card, owner: 'somebody else' }
  const other = await new Table({ storage, fetchCard: async () => stranger }).offered()
  expect(stageOf(other)).toMatchObject({ kind: 'offered', consent: undefined })
  again.page.forgetConsent()
  expect(stageOf(again)).toMatchObject({ kind: 'offered', consent: undefined })
  expect(stageOf(await new Table({ storage }).offered())).toMatchObject({ consent: undefined })
})

test('consent to older terms is none', async () => {
  const storage = new MapStorage()
  storage.setItem('starling/consent', JSON.stringify([{ owner: card.owner, terms: 0, givenMs: 1 }]))
  expect(stageOf(await new Table({ storage }).offered())).toMatchObject({ consent: undefined })
})

test('Stop ends the donation, and nothing that it says afterwards counts', async () => {
  const table = await new Table().giving()
  table.say()
  table.nowMs += 60_000
  await table.page.stop()
  expect(table.told).toContain('stop')
  expect(stageOf(table)).toEqual({ kind: 'over', card, ending: 'stopped', lastedMs: 60_000 })
  table.say({ round: 99 })
  expect(table.page.snapshot.value?.round).toBe(34)
})

test('Stop while the peer still loads ends at once, and the peer is stopped when it has come', async () => {
  const table = new Table({ isSlow: true })
  await table.offered()
  const starting = table.page.start()
  await Promise.resolve()
  await table.page.stop()
  expect(stageOf(table)).toMatchObject({ kind: 'over', ending: 'stopped' })
  expect(table.init?.signal.aborted).toBe(true)
  table.started()
  await starting
  expect(table.told).toEqual(['stop'])
})

test('Finish while the peer still loads waits for it', async () => {
  const table = new Table({ isSlow: true })
  await table.offered()
  const starting = table.page.start()
  await Promise.resolve()
  await table.page.finish()
  expect(stageOf(table)).toMatchObject({ kind: 'giving', asked: 'finish' })
  table.started()
  await starting
  await Promise.resolve()
  expect(table.told.slice(-2)).toContain('finish')
  expect(stageOf(table)).toMatchObject({ kind: 'over', ending: 'finished' })
})

test('a job of another owner than the one on offer is left, and said to be', async () => {
  const table = await new Table().giving()
  table.say({ job: { ...card, owner: 'a forger' } })
  const stage = stageOf(table)
  expect(stage).toMatchObject({ kind: 'failed', error: { code: 'SIGNATURE_INVALID' } })
  expect(table.told.at(-1)).toBe('stop')
})

test('a peer that cannot start is a failure with its reason, and the log has it', async () => {
  const table = await new Table({
    loadPeer: () => Promise.reject(new SwarmError('DOWNLOAD_FAILED', 'no peer.js')),
  }).giving()
  expect(stageOf(table)).toMatchObject({ kind: 'failed', error: { code: 'DOWNLOAD_FAILED' } })
  expect(table.page.log.value).toMatchObject([{ level: 'error', text: 'no peer.js' }])
})

test('a page whose server is gone says that, and takes no blame for it', async () => {
  const table = await new Table({
    loadPeer: () => Promise.reject(new TypeError('error loading dynamically imported module')),
  }).giving()
  expect(stageOf(table)).toMatchObject({
    kind: 'failed',
    error: { code: 'DOWNLOAD_FAILED', hint: expect.stringContaining('Reload the page') },
  })
})

test('a failure ends the donation with its reason, which its peer has logged', async () => {
  const table = await new Table().giving()
  table.say({ failure: new SwarmError('OUT_OF_MEMORY', 'too little') })
  expect(stageOf(table)).toMatchObject({ kind: 'failed', error: { code: 'OUT_OF_MEMORY' } })
  expect(table.page.log.value).toEqual([])
  expect(table.told.at(-1)).toBe('stop')
})

test('the end of the run is told with its verdict', async () => {
  const table = await new Table().giving()
  table.say(scenes.ended)
  expect(stageOf(table)).toMatchObject({ kind: 'over', ending: 'run-over' })
  expect(table.page.snapshot.value?.verdict?.verdict).toBe('converged')
})

test.each([
  ['a link without a job', '#at=/ip4/1.2.3.4/tcp/1/ws/p2p/abc', {}, 'USAGE'],
  ['a link without an address', `#job=${card.job}`, {}, 'USAGE'],
  ['an address without its peer', `#job=${card.job}&at=/ip4/1.2.3.4/tcp/1/ws`, {}, 'USAGE'],
  ['a link of a megabyte', `${fragment}&x=${'x'.repeat(1 << 20)}`, {}, 'USAGE'],
  ['an expired job', fragment, { fetchCard: async () => ({ ...card, expires: 1 }) }, 'EXPIRED'],
  [
    'a server that is gone',
    fragment,
    { fetchCard: () => Promise.reject(new SwarmError('NO_COORDINATOR', 'gone')) },
    'NO_COORDINATOR',
  ],
])('%s is said to be one', async (_name, link, init: Partial<DonorPageInit>, code) => {
  const table = new Table(init)
  await table.page.open(link)
  expect(stageOf(table)).toMatchObject({ kind: 'failed', error: { code } })
})

test('what is shown is stale when the peer falls silent, or reaches nobody', async () => {
  const table = await new Table().giving()
  const wait = (ms: number) => {
    table.nowMs += ms
    table.page.tick()
    return table.page.staleness.value
  }
  table.say()
  expect(wait(5999)).toBeNull()
  expect(wait(1)).toEqual({ cause: 'silent', forMs: 6000 })
  table.say()
  expect(wait(1000)).toBeNull()
  table.say({ isConnected: false })
  expect(wait(1000)).toEqual({ cause: 'cut', forMs: 2000 })
  table.say()
  expect(wait(0)).toBeNull()
})

test('a peer that has not been connected yet is not cut off; after a quarter of a minute the donor is told', async () => {
  const table = await new Table().giving()
  const staleAfter = (ms: number) => {
    table.nowMs += ms
    table.init?.onSnapshot(firstSnapshot)
    return table.page.staleness.value
  }
  expect(staleAfter(14_999)).toBeNull()
  expect(staleAfter(1)).toEqual({ cause: 'unreached', forMs: 15_000 })
  table.say()
  expect(staleAfter(0)).toEqual({ cause: 'cut', forMs: 0 })
})

test('the day’s data survives a reload', async () => {
  const table = await new Table().giving()
  table.say()
  table.page.tick()
  const { bytesUp, bytesDown } = scenes.training.contribution
  const again = new Table({ storage: table.storage })
  expect(again.page.governor.value.dataDay).toEqual({ day: '2026-11-22', bytes: bytesUp + bytesDown })
})

test('settings survive a reload', async () => {
  const { storage, page } = new Table()
  page.change({ threads: 2, dataCapBytes: 500e6 })
  expect(new Table({ storage }).page.governor.value.settings).toMatchObject({
    threads: 2,
    dataCapBytes: 500e6,
  })
})

test('the log keeps its newest lines, numbered on, each cut', async () => {
  const { page } = new Table()
  for (let index = 0; index <= logLinesMax; index++)
    page.write({ atMs: 0, level: 'info', text: `line ${index}` })
  page.write({ atMs: 0, level: 'info', text: 'x'.repeat(10_000) })
  const lines = page.log.value
  expect([lines.length, lines[0]?.text, lines[0]?.index]).toEqual([logLinesMax, 'line 2', 2])
  expect(lines.at(-1)?.text.length).toBe(600)
})

test('a browser that forbids storage still shows the page', async () => {
  const forbid = () => {
    throw new Error('forbidden')
  }
  const forbidding: TextStorage = { getItem: forbid, setItem: forbid, removeItem: forbid }
  const table = await new Table({ kept: keptIn(forbidding) }).giving()
  table.page.change({ threads: 2 })
  expect(stageOf(table).kind).toBe('giving')
  expect(table.page.governor.value.settings.threads).toBe(2)
})
