/**
 * Serves the donor page: the files that the build left in dist/tab/, and the cards of the jobs that this coordinator
 * knows. Nothing else: what peers say to each other goes over libp2p.
 *
 *     /  /index.html  /program.json     asked again each time
 *     /<name>-<hash>.js  /ort-…/…       kept by the browser for ever
 *     /jobs/<cid>.json                  what a donor is shown before the click (protocols/jobs/card.ts)
 *
 * The page loads nothing from elsewhere and nobody may frame it; `headers` says so to the browser, each with its
 * reason.
 */

import { readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { JobCard } from '../../protocols/jobs/card.ts'

export interface PageServerInit {
  /** Where the build's files are. */
  folder: string
  /** Address to listen on: `127.0.0.1` for this machine alone. */
  host: string
  /** `undefined`: {@link defaultPagePort}, or a free one when that is taken. 0: a free one. */
  port: number | undefined
  /** The card of a job, `undefined` for one that is not known. */
  cardOf(job: string): JobCard | undefined
}

export interface PageServer {
  /** Where the page is, ending in a slash. */
  url: string
  close(): Promise<void>
}

/**
 * Where the build leaves the page: beside this code when that is bundled too, in dist/ when it runs from its sources.
 */
export const tabFolder = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/tab/' : './tab/', import.meta.url),
)

/**
 * Beside the coordinator's 4001 and 4002. A fixed port keeps a page's origin, and with it what a donor's browser has
 * stored.
 */
export const defaultPagePort = 4003

/** Of every answer. */
const headers: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'", // onnxruntime is WebAssembly
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:", // the icon shows the state
    "connect-src 'self' ws: wss:", // peers are anywhere
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'", // a page that hides this one in a frame could steal the click
  ].join('; '),
  // these two isolate the page, without which a browser gives it no threads
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy':
    'screen-wake-lock=(self), compute-pressure=(self), camera=(), microphone=(), geolocation=(), usb=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  json: 'application/json; charset=utf-8',
  svg: 'image/svg+xml',
  wasm: 'application/wasm',
}

/** Names that the build gives to files: no way up, nothing hidden. */
const filePath = /^([\w][\w.-]*\/)?[\w][\w.-]*\.(\w+)$/

/**
 * Starts to serve.
 * @throws {SwarmError} PORT_IN_USE; USAGE when `host` is not an address of this machine, or the port is not allowed.
 */
export async function startPageServer(init: PageServerInit): Promise<PageServer> {
  const server = createAdaptorServer({ fetch: pageApp(init).fetch }) as Server
  await listen(server, init)
  const { port } = server.address() as AddressInfo
  return {
    url: pageUrl(init.host, port),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/**
 * Where a browser finds a page that is served at `host` and `port`. What this machine reaches as itself is `localhost`,
 * from which alone, without https, browsers let a page train; an IPv6 address stands in brackets (RFC 3986, section
 * 3.2.2).
 */
export function pageUrl(host: string, port: number): string {
  const isHere = ['127.0.0.1', '0.0.0.0', '::'].includes(host)
  return `http://${isHere ? 'localhost' : host.includes(':') ? `[${host}]` : host}:${port}/`
}

type Bindings = { Bindings: HttpBindings }

/** The routes, apart from the socket. */
export function pageApp({ folder, cardOf }: Pick<PageServerInit, 'folder' | 'cardOf'>): Hono<Bindings> {
  const packed = new Map<string, Promise<Uint8Array<ArrayBuffer>>>()
  const app = new Hono<Bindings>()
  app.use(async (context, next) => {
    await next()
    for (const [name, value] of Object.entries(headers)) context.res.headers.set(name, value)
  })
  app.get('/jobs/:file{[a-z0-9]+\\.json}', (context) => {
    const card = cardOf(context.req.param('file').slice(0, -'.json'.length))
    const fresh = { 'cache-control': 'no-store' }
    return card === undefined
      ? context.json({ error: 'unknown job' }, 404, fresh)
      : context.json(card, 200, fresh)
  })
  app.get('*', async (context) => {
    const path = context.req.path === '/' ? 'index.html' : context.req.path.slice(1)
    const [, , ending] = filePath.exec(path) ?? []
    const type = types[ending ?? '']
    const bytes = type === undefined ? undefined : await readWhole(join(folder, path))
    if (type === undefined || bytes === undefined) return context.text('not found', 404)
    const isNamedByContent = path !== 'index.html' && path !== 'program.json'
    const answer: Record<string, string> = {
      'content-type': type,
      'cache-control': isNamedByContent ? 'public, max-age=31536000, immutable' : 'no-cache',
    }
    if (!isWorthPacking(context.env?.incoming?.socket.remoteAddress, context.req.header('accept-encoding')))
      return context.body(bytes, 200, answer)
    const body = packed.get(path) ?? pack(bytes)
    if (isNamedByContent) packed.set(path, body)
    return context.body(await body, 200, { ...answer, 'content-encoding': 'gzip', vary: 'accept-encoding' })
  })
  return app
}

/** Packing 17 MB takes a second, which only a real network pays back; it is done once for each file. */
function isWorthPacking(from: string | undefined, accepted: string | undefined): boolean {
  const isNear = from === undefined || /^(::1|(::ffff:)?127\.)/.test(from)
  return !isNear && accepted !== undefined && /\bgzip\b/.test(accepted)
}

async function pack(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await promisify(gzip)(bytes))
}

/** `undefined` for a file that is not there. */
async function readWhole(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'EISDIR' || code === 'ENOTDIR') return undefined
    throw error
  }
}

async function listen(server: Server, { host, port }: PageServerInit): Promise<void> {
  try {
    await listenOn(server, host, port ?? defaultPagePort)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE' && port === undefined) return listenOn(server, host, 0)
    if (code === 'EADDRINUSE') {
      throw new SwarmError('PORT_IN_USE', `port ${port} for the donor page is in use by another program`, {
        cause: error,
        hint: 'Choose another with --page-port; 0 picks a free one.',
      })
    }
    throw new SwarmError('USAGE', `the donor page cannot be served at ${host}:${port ?? defaultPagePort}`, {
      cause: error,
      hint: 'Give an address of this machine with --page-host, and a port above 1023 with --page-port.',
    })
  }
}

function listenOn(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
