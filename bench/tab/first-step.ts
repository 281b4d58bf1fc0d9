/**
 * What a donor waits for: from the click to the end of the first step, as the page itself shows it. Three peers of this
 * machine train the example that `npm start` runs, and a browser with a profile of its own opens their link; it comes
 * for the first time, and comes back. The donor's settings are the page's defaults; there is no graphics card, so
 * WebAssembly computes.
 */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { Program } from '../program.ts'
import { rowOf, type TabRow } from './row.ts'

/** Donors, each with a profile of its own. */
const donors = 3

/** Seconds that a donor with warm caches shall wait at most: see the design, section 8. */
const aimSeconds = 5

/** A first step that has not come by then will not. */
const waitMsMax = 120_000

const example = fileURLToPath(new URL('../examples/glyphs/', import.meta.url))

/** One row for first visits and one for second ones. */
export async function firstStepRows(executablePath: string): Promise<TabRow[]> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-bench-'))
  await writeFile(join(folder, 'job.yaml'), await jobText())
  const swarm = new Program(['launch', join(folder, 'job.yaml'), '--local', '3', '--json'], folder)
  const seconds: [first: number[], second: number[]] = [[], []]
  try {
    const { line } = await swarm.line(({ event }) => event === 'invitation')
    await swarm.line(({ event }) => event === 'round')
    for (let donor = 0; donor < donors; donor++) {
      const profile = join(folder, `profile-${donor}`)
      const context = await chromium.launchPersistentContext(profile, { executablePath, args })
      const page = await context.newPage()
      await page.goto(line.link!)
      seconds[0].push(await visit(page))
      await page.reload()
      seconds[1].push(await visit(page))
      await context.close()
    }
  } finally {
    await swarm.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  const aim = Array.from({ length: donors }, () => aimSeconds)
  const about = { unit: 's', against: 'the aim for warm caches' }
  return [
    rowOf({ ...about, measure: 'click to first step, first visit' }, seconds[0], aim),
    rowOf({ ...about, measure: 'click to first step, second visit' }, seconds[1], aim),
  ]
}

const args = ['--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-sync']

/** Gives the click, and stops after the first step. @returns the seconds that the page shows. */
async function visit(page: Page): Promise<number> {
  await page.getByRole('button', { name: /^(Start|Resume) donating$/ }).click()
  const tile = page.locator('.tiles div').filter({ hasText: 'from your click to the first step' })
  const time = tile.getByText(/^[\d.]+\s(s|min)$/)
  await time.waitFor({ timeout: waitMsMax })
  const text = (await time.textContent())!
  const seconds = Number.parseFloat(text) * (text.endsWith('min') ? 60 : 1)
  await page.getByRole('button', { name: 'Stop', exact: true }).click()
  await page.getByText('Thank you.').first().waitFor()
  return seconds
}

/** The example, for as long as the measurement takes. */
async function jobText(): Promise<string> {
  const text = await readFile(join(example, 'longer.yaml'), 'utf8')
  return text
    .replace(/file: cnn\.onnx/, `file: ${JSON.stringify(join(example, 'cnn.onnx'))}`)
    .replace(/target: [\d.]+/, 'target: 1')
    .replace(/patience: \d+/, 'patience: 100000')
    .replace(/max_rounds: \d+/, 'max_rounds: 100000')
}
