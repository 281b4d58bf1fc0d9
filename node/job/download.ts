/**
 * Downloads a file once: over HTTP, with progress, a size limit and a SHA-256 that must match, into a cache folder
 * where the next call finds it. A download that breaks leaves nothing behind and starts over the next time; files of a
 * few megabytes are not worth resuming.
 */

import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SwarmError } from '../../protocols/core/errors.ts'
import { jobBytesMax } from '../../protocols/core/limits.ts'

/**
 * Without a byte for this long a download is given up: a mobile network takes seconds to hand over, not half a minute.
 */
const stallMs = 30_000

export interface DownloadProgress {
  url: string
  receivedBytes: number
  /** As the server announced it; absent when it did not. */
  totalBytes?: number
}

export interface DownloadOptions {
  url: string
  /** Of the whole file, in lowercase hex. */
  sha256: string
  /** Where downloads are kept; made if missing. */
  cacheDirectory: string
  /** Default: what one job may have. */
  bytesMax?: number
  /** Default: 30 s without a byte. */
  stallMs?: number
  onProgress?: (progress: DownloadProgress) => void
  signal?: AbortSignal
}

/** What to do instead, at the end of every failure. */
const remedy = 'Check the network, or download the file yourself and give its folder with --data.'

/**
 * The bytes at `url`, from the cache if they are there.
 * @throws {SwarmError} DOWNLOAD_FAILED when the server cannot be reached, answers with an error or stops half-way;
 * CHECKSUM_MISMATCH; LIMIT_EXCEEDED; STORAGE_FAILED when the cache cannot be written.
 */
export async function download(options: DownloadOptions): Promise<Uint8Array> {
  const { sha256, cacheDirectory } = options
  const path = join(cacheDirectory, sha256)
  const cached = await readFile(path).catch(() => undefined)
  if (cached !== undefined && digest(cached) === sha256) return plain(cached)

  const bytes = await receive(options)
  const found = digest(bytes)
  if (found !== sha256) {
    throw new SwarmError('CHECKSUM_MISMATCH', `${options.url} has SHA-256 ${found}, expected ${sha256}`, {
      hint: 'The file there has changed: correct the sha256 in the job file, or give your own copy with --data.',
    })
  }
  await keep(bytes, cacheDirectory, path)
  return bytes
}

async function receive({ url, signal, onProgress, ...limits }: DownloadOptions): Promise<Uint8Array> {
  const bytesMax = limits.bytesMax ?? jobBytesMax
  const stall = new Stall(limits.stallMs ?? stallMs)
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([stall.signal, ...(signal ? [signal] : [])]),
    })
    if (!response.ok || response.body === null) {
      await response.body?.cancel()
      throw new SwarmError(
        'DOWNLOAD_FAILED',
        `${url} answers ${response.status} ${response.statusText}`.trimEnd(),
        {
          hint: 'The file is not there (any more): download it elsewhere and give its folder with --data.',
        },
      )
    }
    const announced = Number(response.headers.get('content-length') ?? Number.NaN)
    const totalBytes = Number.isSafeInteger(announced) ? announced : undefined
    const chunks: Uint8Array[] = []
    let receivedBytes = 0
    for await (const chunk of response.body) {
      stall.reset()
      chunks.push(chunk)
      receivedBytes += chunk.length
      if (receivedBytes > bytesMax) {
        throw new SwarmError('LIMIT_EXCEEDED', `${url} has more than ${bytesMax} bytes`)
      }
      onProgress?.({ url, receivedBytes, ...(totalBytes === undefined ? {} : { totalBytes }) })
    }
    return plain(Buffer.concat(chunks))
  } catch (cause) {
    if (cause instanceof SwarmError) throw cause
    signal?.throwIfAborted()
    throw new SwarmError('DOWNLOAD_FAILED', `${url} could not be downloaded: ${reasonOf(cause)}`, {
      cause,
      hint: remedy,
    })
  } finally {
    stall.end()
  }
}

/** Aborts its signal when `reset` is not called in time. */
class Stall {
  readonly #controller = new AbortController()
  readonly #delayMs: number
  #timer: NodeJS.Timeout

  constructor(delayMs: number) {
    this.#delayMs = delayMs
    this.#timer = this.#start()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  reset(): void {
    clearTimeout(this.#timer)
    this.#timer = this.#start()
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  #start(): NodeJS.Timeout {
    const reason = new Error(`nothing came for ${this.#delayMs / 1000} s`)
    return setTimeout(() => this.#controller.abort(reason), this.#delayMs)
  }
}

/** Writes beside the final name first, so that a cached file is always whole. */
async function keep(bytes: Uint8Array, cacheDirectory: string, path: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  try {
    await mkdir(cacheDirectory, { recursive: true })
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(bytes)
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (cause) {
    await rm(temporary, { force: true })
    throw new SwarmError('STORAGE_FAILED', `the download cache ${cacheDirectory} cannot be written`, {
      cause,
      hint: 'Free some space, or let the cache be elsewhere with XDG_CACHE_HOME.',
    })
  }
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A view that is not a Buffer, which shared code must not see. */
function plain(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** fetch says only "fetch failed"; what happened is in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message || error.cause.name : error.message
}
