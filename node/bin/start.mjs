// @ts-check
/**
 * `npm start`: from a fresh checkout to a model that is being trained by three peers on this machine, and by whoever
 * opens the link that it prints. Installs and builds what is missing, talking on stderr; then this process becomes the
 * command line, so that Ctrl-C goes straight to it. More words are handed on: `npm start -- --json`.
 */

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildIfStale, cliBundle } from '../build/bundle.mjs'
import { installIfNeeded, root } from '../build/checkout.mjs'

await installIfNeeded()
await buildIfStale()
const command = ['launch', join(root, 'examples/glyphs/longer.yaml'), '--local', '3']
process.argv = [process.execPath, cliBundle, ...command, ...process.argv.slice(2)]
await import(pathToFileURL(cliBundle).href)
