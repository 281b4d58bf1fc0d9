/** Starts a TypeScript file as a process of its own, so that a test can kill it the hard way. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '../../..')

/** A running peer; `hello` is the first line it printed, as JSON. */
export interface PeerProcess<Hello> {
  process: ChildProcess
  hello: Hello
  /** SIGKILL: no goodbye, no flush. Resolves when the process is gone. */
  kill(): Promise<void>
}

/** Bundles and runs `test/integration/peers/<name>.ts` with `args`, and waits for its first line. */
export async function spawnPeer<Hello>(name: string, ...args: string[]): Promise<PeerProcess<Hello>> {
  const outfile = join(root, `node_modules/.cache/starling-test/${name}.mjs`)
  const entryPoints = [join(root, `test/integration/peers/${name}.ts`)]
  await build({ entryPoints, outfile, bundle: true, format: 'esm', platform: 'node', packages: 'external' })
  const child = spawn(process.execPath, [outfile, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const [line] = await once(createInterface({ input: child.stdout! }), 'line')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  return { process: child, hello: JSON.parse(String(line)) as Hello, kill }
}
