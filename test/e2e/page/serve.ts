/** The donor page with scenes in the place of its peer, built like the real one and served by the real server. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { type PageServer, startPageServer } from '../../../node/network/page-server.ts'
import { root } from '../../integration/peers/program.ts'
import { card, fragment, type SceneName } from './scenes.ts'

export interface ScenePage {
  /** What to open for `scene`; `silent`: its donation says one thing and then nothing more. */
  urlOf(scene: SceneName, silent?: boolean): string
  origin: string
  close(): Promise<void>
}

/** Builds the page with scenes and serves it. */
export async function serveScenes(): Promise<ScenePage> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-page-'))
  await build({
    absWorkingDir: root,
    entryPoints: { page: 'test/e2e/page/main.ts' },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'warning',
  })
  await writeFile(join(folder, 'index.html'), await readFile(join(root, 'browser-client/page/index.html')))
  const { url, close } = await serve(folder)
  return {
    urlOf: (scene, silent = false) => `${url}?scene=${scene}${silent ? '&silent' : ''}${fragment}`,
    origin: new URL(url).origin,
    close: async () => {
      await close()
      await rm(folder, { recursive: true })
    },
  }
}

/** Serves a build of the page, and the card of the scenes' job, on a free port of this machine. */
export function serve(folder: string): Promise<PageServer> {
  const cardOf = (job: string) => (job === card.job ? card : undefined)
  return startPageServer({ folder, host: '127.0.0.1', port: 0, cardOf })
}
