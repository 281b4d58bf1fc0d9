/** The server of the donor page: what browsers may keep, load and frame, and what it does not hand out. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { pageApp, pageUrl, startPageServer } from '../../../node/network/page-server.ts'
import type { JobCard } from '../../../protocols/jobs/card.ts'

const card = { job: 'bafyknown', name: 'a job' } as JobCard
const cardOf = (job: string) => (job === 'bafyknown' ? card : undefined)

async function pageFolder(): Promise<string> {
  const outside = await mkdtemp(join(tmpdir(), 'starling-page-'))
  onTestFinished(() => rm(outside, { recursive: true, force: true }))
  const folder = join(outside, 'tab')
  await mkdir(join(folder, 'ort-1.2.3'), { recursive: true })
  await writeFile(join(outside, 'secret.json'), '{}')
  await writeFile(join(folder, 'index.html'), '<!doctype html>')
  await writeFile(join(folder, 'program.json'), '{"build":"b1"}')
  await writeFile(join(folder, 'page-AB12.js'), 'one()')
  await writeFile(join(folder, 'ort-1.2.3', 'ort.simd.wasm'), Uint8Array.of(0, 97, 115, 109))
  return folder
}

test('files named by their content are kept for ever, the page and its list of files are asked again', async () => {
  const app = pageApp({ folder: await pageFolder(), cardOf })
  const cacheOf = async (path: string) => (await app.request(path)).headers.get('cache-control')
  expect(await cacheOf('/page-AB12.js')).toBe('public, max-age=31536000, immutable')
  expect(await cacheOf('/ort-1.2.3/ort.simd.wasm')).toBe('public, max-age=31536000, immutable')
  expect(await cacheOf('/')).toBe('no-cache')
  expect(await cacheOf('/program.json')).toBe('no-cache')
  expect(await cacheOf('/jobs/bafyknown.json')).toBe('no-store')
})

test('each file comes whole and with its type', async () => {
  const app = pageApp({ folder: await pageFolder(), cardOf })
  const wasm = await app.request('/ort-1.2.3/ort.simd.wasm')
  expect(wasm.headers.get('content-type')).toBe('application/wasm')
  expect([...new Uint8Array(await wasm.arrayBuffer())]).toEqual([0, 97, 115, 109])
  const page = await app.request('/')
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(await page.text()).toBe('<!doctype html>')
})

test('every answer isolates the page, and lets it load scripts of its own origin only', async () => {
  const app = pageApp({ folder: await pageFolder(), cardOf })
  for (const path of ['/', '/page-AB12.js', '/jobs/bafyknown.json', '/nothing.js']) {
    const { headers } = await app.request(path)
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
    expect(headers.get('cross-origin-embedder-policy')).toBe('require-corp')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    const policy = headers.get('content-security-policy')!.split('; ')
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'")
    expect(policy).toContain("frame-ancestors 'none'")
  }
})

test.each([
  '/../secret.json',
  '/%2e%2e/secret.json',
  '/..%2fsecret.json',
  '/ort-1.2.3/../../secret.json',
  '/.hidden.json',
  '/ort-1.2.3/',
  '/jobs/bafyother.json',
])('%s is not found', async (path) => {
  const app = pageApp({ folder: await pageFolder(), cardOf })
  expect((await app.request(path)).status).toBe(404)
})

test("a known job's card is told, so that the page can say whose work it is", async () => {
  const app = pageApp({ folder: await pageFolder(), cardOf })
  expect(await (await app.request('/jobs/bafyknown.json')).json()).toEqual(card)
})

test('files are packed for readers far away, and not on this machine', async () => {
  const app = pageApp({ folder: await pageFolder(), cardOf })
  const ask = (remoteAddress: string, encoding: string) =>
    app.request(
      '/page-AB12.js',
      { headers: { 'accept-encoding': encoding } },
      { incoming: { socket: { remoteAddress } } },
    )
  const far = await ask('192.0.2.7', 'br, gzip')
  expect(far.headers.get('content-encoding')).toBe('gzip')
  expect(gunzipSync(await far.arrayBuffer()).toString()).toBe('one()')
  expect((await ask('192.0.2.7', 'identity')).headers.get('content-encoding')).toBeNull()
  expect((await ask('::ffff:127.0.0.1', 'gzip')).headers.get('content-encoding')).toBeNull()
})

test.each([
  ['127.0.0.1', 'http://localhost:4003/'],
  ['0.0.0.0', 'http://localhost:4003/'],
  ['192.0.2.7', 'http://192.0.2.7:4003/'],
  ['::1', 'http://[::1]:4003/'],
  ['train.example', 'http://train.example:4003/'],
])('a page that is served at %s is found at %s', (host, url) => {
  expect(pageUrl(host, 4003)).toBe(url)
  expect(new URL(url).port).toBe('4003')
})

test('a port that is taken is named when it was asked for', async () => {
  const folder = await pageFolder()
  const first = await startPageServer({ folder, cardOf, host: '127.0.0.1', port: 0 })
  onTestFinished(() => first.close())
  const port = Number(new URL(first.url).port)
  expect(await (await fetch(first.url)).text()).toBe('<!doctype html>')
  await expect(startPageServer({ folder, cardOf, host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    message: expect.stringContaining(String(port)),
  })
})
