import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type DownloadProgress, download } from '../../node/job/download.ts'
import { openJobData } from '../../node/job/job-data.ts'

const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) & 255)
const sha256 = createHash('sha256').update(content).digest('hex')

let folder: string
let cacheDirectory: string
const servers: Server[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'starling-download-'))
  cacheDirectory = join(folder, 'cache')
})
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  await rm(folder, { recursive: true, force: true })
})

/** The address of a server on loopback that answers every request with `listener`. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/file.gz`
}

const cached = () => readdir(cacheDirectory).catch(() => [])

describe('a download', () => {
  test('reports progress up to the whole length, and comes from the cache the next time', async () => {
    let requests = 0
    const url = await serve((_, response) => {
      requests++
      response.setHeader('content-length', content.length)
      response.end(content)
    })
    const seen: DownloadProgress[] = []
    const options = {
      url,
      sha256,
      cacheDirectory,
      onProgress: (progress: DownloadProgress) => seen.push(progress),
    }
    expect(Buffer.compare(await download(options), content)).toBe(0)
    expect(seen.at(-1)).toEqual({ url, receivedBytes: 300_000, totalBytes: 300_000 })
    expect(seen.map(({ receivedBytes }) => receivedBytes)).toEqual(
      seen.map(({ receivedBytes }) => receivedBytes).sort((a, b) => a - b),
    )
    expect(Buffer.compare(await download(options), content)).toBe(0)
    expect(requests).toBe(1)
    expect(await cached()).toEqual([sha256])
  })

  test('is repeated when the cached file was damaged', async () => {
    const url = await serve((_, response) => response.end(content))
    await mkdir(cacheDirectory)
    await writeFile(join(cacheDirectory, sha256), content.subarray(1))
    expect(Buffer.compare(await download({ url, sha256, cacheDirectory }), content)).toBe(0)
    expect(Buffer.compare(await download({ url, sha256, cacheDirectory }), content)).toBe(0)
  })

  test('with another content than promised is refused, naming both hashes, and not kept', async () => {
    const url = await serve((_, response) => response.end('something else'))
    const found = createHash('sha256').update('something else').digest('hex')
    await expect(download({ url, sha256, cacheDirectory })).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
      message: `${url} has SHA-256 ${found}, expected ${sha256}`,
      hint: expect.stringContaining('--data'),
    })
    expect(await cached()).toEqual([])
  })

  test('of a file that is not there names the status', async () => {
    const url = await serve((_, response) => {
      response.statusCode = 404
      response.end('no')
    })
    await expect(download({ url, sha256, cacheDirectory })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: `${url} answers 404 Not Found`,
      hint: expect.stringContaining('--data'),
    })
  })

  test('that is cut off half-way fails and leaves nothing behind', async () => {
    const url = await serve((_, response) => {
      response.setHeader('content-length', content.length)
      response.write(content.subarray(0, 100_000), () => response.destroy())
    })
    await expect(download({ url, sha256, cacheDirectory })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      hint: expect.stringContaining('--data'),
    })
    expect(await cached()).toEqual([])
  })

  test('from a port where nothing listens says that the connection was refused', async () => {
    const url = await serve(() => {})
    const server = servers.pop()!
    await new Promise((resolve) => server.close(resolve))
    await expect(download({ url, sha256, cacheDirectory })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('ECONNREFUSED'),
      hint: expect.stringContaining('--data'),
    })
  })

  test('that stalls is given up', async () => {
    const url = await serve((_, response) => response.write(content.subarray(0, 10)))
    await expect(download({ url, sha256, cacheDirectory, stallMs: 50 })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('nothing came for 0.05 s'),
    })
  })

  test('stops at the size limit, even of a server that announces no length', async () => {
    const url = await serve((_, response) => response.end(content))
    const options = { url, sha256, cacheDirectory }
    await expect(download({ ...options, bytesMax: 299_999 })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    })
    expect((await download({ ...options, bytesMax: 300_000 })).length).toBe(300_000)
  })

  test('can be cancelled, with the reason given', async () => {
    const cancelled = new AbortController()
    const url = await serve((_, response) => {
      response.write(content.subarray(0, 10))
      cancelled.abort(new Error('enough'))
    })
    const call = download({ url, sha256, cacheDirectory, signal: cancelled.signal })
    await expect(call).rejects.toThrow('enough')
  })
})

describe('the data of a job', () => {
  /** Four tiny files in MNIST's form. */
  const idx = (shape: number[], values: number[]) =>
    gzipSync(Uint8Array.from([0, 0, 8, shape.length, ...shape.flatMap((size) => [0, 0, 0, size]), ...values]))
  const files = {
    'train-images-idx3-ubyte.gz': idx([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
    'train-labels-idx1-ubyte.gz': idx([2], [0, 1]),
    't10k-images-idx3-ubyte.gz': idx([1, 2, 2], [9, 9, 9, 9]),
    't10k-labels-idx1-ubyte.gz': idx([1], [2]),
  }

  test('is read from a local folder, with any of the usual file names, in place of the job file’s sources', async () => {
    const [first, second, third, fourth] = Object.entries(files)
    await writeFile(join(folder, first![0]), first![1])
    await writeFile(join(folder, 'train-labels-idx1-ubyte'), gunzipSync(second![1]))
    await writeFile(join(folder, 't10k-images.idx3-ubyte'), gunzipSync(third![1]))
    const options = { directory: '/nowhere', dataPath: folder, cacheDirectory }
    await expect(openJobData({ kind: 'idx' }, options)).rejects.toMatchObject({
      code: 'DATA_MISSING',
      message: `${folder} has no t10k-labels-idx1-ubyte.gz`,
    })
    await writeFile(join(folder, fourth![0]), fourth![1])
    const dataSet = await openJobData({ kind: 'idx' }, options)
    expect(dataSet.classes).toBe(3)
    expect([...dataSet.train.fields.x!.data]).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  test('is read beside the job file when it is there, and downloaded when it is not', async () => {
    const text = new TextEncoder().encode('hello, hello, hello')
    let requests = 0
    const url = await serve((_, response) => {
      requests++
      response.end(text)
    })
    const source = { file: 'text.txt', url, sha256: createHash('sha256').update(text).digest('hex') }
    const spec = { kind: 'text', source, context: 2, split: 0.5 } as const
    const options = { directory: folder, cacheDirectory }
    expect((await openJobData(spec, options)).vocabulary?.join('')).toBe(' ,ehlo')
    expect(requests).toBe(1)
    await writeFile(join(folder, 'text.txt'), 'abcabcabcabc')
    expect((await openJobData(spec, options)).vocabulary?.join('')).toBe('abc')
    expect(requests).toBe(1)
  })

  test('that nobody names is asked for', async () => {
    const options = { directory: folder, cacheDirectory }
    await expect(openJobData({ kind: 'idx' }, options)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('data.sources.train_images'),
      hint: expect.stringContaining('--data'),
    })
    const missing = { kind: 'text', source: { file: 'no.txt' }, context: 2, split: 0.5 } as const
    await expect(openJobData(missing, options)).rejects.toMatchObject({ code: 'DATA_MISSING' })
    const useless = { ...options, dataPath: folder }
    await expect(
      openJobData({ kind: 'glyphs', seed: 1, train: 1, validation: 1 }, useless),
    ).rejects.toMatchObject({ code: 'USAGE' })
  })
})
