/**
 * A real Chromium for a test, closed when the test ends. Each tab has a profile of its own, as if it were another
 * donor's browser, unless the test is about one donor's visits. What a page must never do is written down while it is
 * open: ask anybody else, break its policy, throw.
 */

import { mkdir } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, type BrowserServer, chromium, type Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { findChromium } from '../../../node/build/chromium.mjs'
import { root, testFolder } from '../../integration/peers/program.ts'

/** WebGPU on a software adapter; without these flags a headless Chromium offers none. */
const softwareGpu = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-unsafe-swiftshader',
]

/** A test's container is its sandbox; the rest keeps the browser from talking to its maker. */
const quiet = [
  '--no-sandbox',
  '--no-first-run',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const args = [...quiet, ...softwareGpu]

const viewport = { width: 1280, height: 900 }

/** Where screenshots go, for whoever wants to see what a test saw. */
const artefacts = join(root, 'coverage/e2e')

/**
 * WebRTC gathers no address on a machine that has only a loopback interface: then tabs stay on the relay, and what
 * needs a direct path between tabs cannot be tested.
 */
export const hasNetwork = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ internal }) => !internal),
)

export interface TestBrowser {
  /** Process id of the browser; its children are the tabs. */
  pid: number
  newTab(): Promise<TestTab>
}

export interface TestTab {
  page: Page
  context: BrowserContext
  /** Addresses that the tab asked, apart from those that the browser made up itself. */
  requests: string[]
  /** What went wrong in it: uncaught errors, and violations of its policy. */
  complaints: string[]
  /** Keeps a picture of it. */
  screenshot(name: string): Promise<void>
}

/** @throws {Error} where there is no Chromium: a test that did not run shall not look as if it had passed. */
export async function openBrowser(): Promise<TestBrowser> {
  const server: BrowserServer = await chromium.launchServer({ executablePath: executable(), args })
  onTestFinished(() => server.close())
  const browser = await chromium.connect(server.wsEndpoint())
  return {
    pid: server.process().pid!,
    newTab: async () => observed(await (await browser.newContext({ viewport })).newPage()),
  }
}

/**
 * The same with one profile on the disk, as a donor has it: all tabs are of one donor. The profiles of
 * {@link openBrowser} are in memory, and the cache of such a one keeps no file as large as onnxruntime.
 */
export async function openOwnBrowser(): Promise<TestBrowser> {
  const profile = await testFolder()
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable(),
    args,
    viewport,
  })
  onTestFinished(() => context.close())
  const session = await context.browser()!.newBrowserCDPSession()
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  return {
    pid: processInfo.find(({ type }) => type === 'browser')!.id,
    newTab: async () => observed(await context.newPage()),
  }
}

function executable(): string {
  const path = findChromium()
  if (path !== undefined) return path
  throw new Error(
    'there is no Chromium: install it (apt-get install chromium), or name one with STARLING_CHROMIUM',
  )
}

/** `page`, whose requests and complaints are written down from now on. */
function observed(page: Page): TestTab {
  const context = page.context()
  const requests: string[] = []
  const complaints: string[] = []
  context.on('request', (request) => void requests.push(request.url()))
  page.on('pageerror', (error) => void complaints.push(error.stack ?? error.message))
  page.on('console', (message) => {
    const text = message.text()
    if (message.type() === 'error' || /content security policy|permissions-policy/i.test(text))
      complaints.push(text)
  })
  return {
    page,
    context,
    requests,
    complaints,
    screenshot: async (name) => {
      await mkdir(artefacts, { recursive: true })
      await page.screenshot({ path: join(artefacts, `${name}.png`), fullPage: true })
    },
  }
}
