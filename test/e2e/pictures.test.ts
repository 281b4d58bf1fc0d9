/**
 * Makes the README's two pictures of the donor page anew, each from a real run:
 *
 *     STARLING_TEST_PICTURES=docs npx vitest run --project e2e test/e2e/pictures.test.ts
 *
 * On a quiet machine, since they show how long the first step took. A Chromium without WebGPU: a software adapter takes
 * longer to be timed than a graphics card.
 */

import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { findChromium } from '../../node/build/chromium.mjs'
import { Program, root, testFolder } from '../integration/peers/program.ts'

const folder = process.env.STARLING_TEST_PICTURES

/** After the first step: some rounds count the tab by then, and the curve has points. */
const roundsMs = 12_000

test.runIf(folder !== undefined).each([
  ['tab-wide-light', { viewport: { width: 1440, height: 1000 }, colorScheme: 'light' }],
  ['tab-narrow-dark', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 1.5, colorScheme: 'dark' }],
] as const)('%s is the donor page in a run of three nodes', async (name, look) => {
  const words = ['launch', join(root, 'examples/glyphs/longer.yaml'), '--local', '3']
  const program = new Program(await testFolder(), 'home', words)
  const { link } = await program.said('invitation')
  const browser = await chromium.launch({ executablePath: findChromium()!, args: ['--no-sandbox'] })
  onTestFinished(() => browser.close())
  const context = await browser.newContext({ ...look, reducedMotion: 'reduce' })
  const page = await context.newPage()
  await page.goto(link as string)
  await page.getByRole('button', { name: 'Start donating' }).click()
  await page.getByText('from your click to the first step').waitFor()
  await page.waitForTimeout(roundsMs)
  await page.evaluate(() => scrollTo(0, 0))
  await page.screenshot({ path: join(root, folder!, `${name}.png`) })
  expect(await page.getByText('rounds count you').isVisible()).toBe(true)
  program.kill('SIGINT', { group: true })
  await program.ended
})
