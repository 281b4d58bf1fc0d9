/** The donor page with scenes in the place of its peer, built like the real one and served by the real server. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { startPageServer } from '../../../node/page-server.ts'
import { root } from '../../integration/peers/program.ts'
import { card, fragment, type SceneName } from './scenes.ts'

export interface ScenePage {
  /** What to open for `scene`; `silent`: its donation says one thing and then nothing more. */
  urlOf(scene: SceneName, silent?: boolean): string
  origin: string
  close(): Promise<void>
}

/** Builds the page and serves it on a free port of this machine. */
export async function servePage(): Promise<ScenePage> {
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
  const server = await startPageServer({
    folder,
    host: '127.0.0.1',
    port: 0,
    cardOf: (job) => (job === card.job ? card : undefined),
  })
  return {
    urlOf: (scene, silent = false) => `${server.url}?scene=${scene}${silent ? '&silent' : ''}${fragment}`,
    origin: new URL(server.url).origin,
    close: async () => {
      await server.close()
      await rm(folder, { recursive: true })
    },
  }
}
