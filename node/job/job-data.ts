/**
 * Opens the data of a job file: generated, from local files, or downloaded. Local files that the person names with
 * `--data` go before what the job file says, and need no checksum: it is their data.
 */

import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { arrayFolder } from '../../data/array-folder.ts'
import type { DataSet } from '../../data/data-set.ts'
import { glyphs } from '../../data/glyphs.ts'
import { idxDataSet } from '../../data/idx.ts'
import { isForeignImage, isImage } from '../../data/image-file.ts'
import { imageFolder } from '../../data/image-folder.ts'
import { textDataSet } from '../../data/text.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { jobBytesMax } from '../../protocols/core/limits.ts'
import { snakeCase } from '../../protocols/jobs/problems.ts'
import { readFailure } from '../storage/read-failure.ts'
import { type DownloadProgress, download } from './download.ts'
import { readFolder } from './folder-files.ts'
import type { DataSpec, Source } from './job-spec.ts'

export interface DataOptions {
  /** The folder that the job file's paths start from. */
  directory: string
  /** `model.ignore_index` of the job: of arrays a label that is no class. */
  ignoredLabel?: number | undefined
  /** What `--data` names: a folder with IDX files, images or arrays, or a text. */
  dataPath?: string
  /** Where downloads are kept. */
  cacheDirectory: string
  onProgress?: (progress: DownloadProgress) => void
  signal?: AbortSignal
}

/**
 * MNIST's own file names; each is also looked for without `.gz`, and with a dot before `idx`, as some archives unpack
 * it.
 */
const idxNames = {
  trainImages: 'train-images-idx3-ubyte.gz',
  trainLabels: 'train-labels-idx1-ubyte.gz',
  testImages: 't10k-images-idx3-ubyte.gz',
  testLabels: 't10k-labels-idx1-ubyte.gz',
} as const

/**
 * The data set of a job.
 * @throws {SwarmError} DATA_MISSING when a file is not there; USAGE when none is named; DATA_INVALID when it is not
 * what the job says; and what {@link download} throws.
 */
export async function openJobData(spec: DataSpec, options: DataOptions): Promise<DataSet> {
  switch (spec.kind) {
    case 'glyphs':
      if (options.dataPath !== undefined) {
        throw new SwarmError('USAGE', 'the job generates its data, so --data has no use', {
          hint: 'Leave out --data, or set another data.kind in the job file.',
        })
      }
      return glyphs(spec)
    case 'idx': {
      const { sources } = spec
      const read = (name: keyof typeof idxNames) =>
        options.dataPath === undefined
          ? readSource(sources?.[name], `data.sources.${snakeCase(name)}`, options)
          : readIdxFrom(resolve(options.dataPath), idxNames[name])
      const [trainImages, trainLabels, testImages, testLabels] = await Promise.all([
        read('trainImages'),
        read('trainLabels'),
        read('testImages'),
        read('testLabels'),
      ])
      return idxDataSet({ trainImages, trainLabels, testImages, testLabels })
    }
    case 'image_folder': {
      const { mean = [0, 0, 0], std = [1, 1, 1] } = spec
      const normal = spec.mean || spec.std ? { mean, deviation: std } : undefined
      const files = await readFolder(folderOf(spec, options), isAnyImage, options)
      return imageFolder(files, { ...spec, ...(normal && { normal }) })
    }
    case 'npy':
      return arrayFolder(await readFolder(folderOf(spec, options), isArray, options), {
        ...spec,
        ignored: options.ignoredLabel,
      })
    case 'text': {
      const local = options.dataPath
      const bytes =
        local === undefined
          ? await readSource(spec.source, 'data.source', options)
          : await readLocal(resolve(local))
      return textDataSet(bytes, spec)
    }
  }
}

/** Those that cannot be read too: their reader refuses them by name. */
const isAnyImage = (name: string): boolean => isImage(name) || isForeignImage(name)

const isArray = (name: string): boolean => name.endsWith('.npy')

/** @throws {SwarmError} USAGE */
function folderOf({ folder }: { folder?: string | undefined }, { directory, dataPath }: DataOptions): string {
  const named = dataPath ?? folder
  if (named === undefined) throw unnamed('data.folder')
  return resolve(directory, named)
}

/**
 * Whether {@link openJobData} would find everything on this machine, or say what is missing, without a download. False
 * also for a job whose data is named only when it is launched.
 */
export async function isDataHere(
  spec: DataSpec,
  { directory, dataPath, cacheDirectory }: Omit<DataOptions, 'signal' | 'onProgress'>,
): Promise<boolean> {
  if (spec.kind === 'glyphs' || dataPath !== undefined) return true
  if (spec.kind === 'image_folder' || spec.kind === 'npy') return spec.folder !== undefined
  const sources = spec.kind === 'text' ? [spec.source] : Object.values(spec.sources ?? { none: undefined })
  const here = sources.map(async (source) => {
    if (source?.url === undefined) return source !== undefined
    const { file, sha256 } = source
    return (
      (file !== undefined && (await exists(resolve(directory, file)))) ||
      (await exists(join(cacheDirectory, sha256!)))
    )
  })
  return (await Promise.all(here)).every(Boolean)
}

async function readSource(
  source: Source | undefined,
  key: string,
  options: DataOptions,
): Promise<Uint8Array> {
  if (source === undefined) throw unnamed(key)
  const { file, url, sha256 } = source
  if (file !== undefined) {
    const path = resolve(options.directory, file)
    if (url === undefined || (await exists(path))) return readLocal(path)
  }
  const { cacheDirectory, onProgress, signal } = options
  return download({ url: url!, sha256: sha256!, cacheDirectory, onProgress, signal })
}

function unnamed(key: string): SwarmError {
  return new SwarmError('USAGE', `the job file does not say where its data is: it has no ${key}`, {
    hint: `Give the data with --data, or write ${key} into the job file.`,
  })
}

async function readIdxFrom(directory: string, name: string): Promise<Uint8Array> {
  const plainName = name.replace('.gz', '')
  const names = [name, plainName, plainName.replace('-idx', '.idx')]
  for (const candidate of names) {
    const path = join(directory, candidate)
    if (await exists(path)) return readLocal(path)
  }
  throw new SwarmError('DATA_MISSING', `${directory} has no ${name}`, {
    hint: 'With --data, give a folder that holds the four files of MNIST, gzipped or not.',
  })
}

async function readLocal(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path)
    if (size > jobBytesMax) {
      throw new SwarmError(
        'LIMIT_EXCEEDED',
        `${path} has ${size} bytes, a job's data may have ${jobBytesMax}`,
      )
    }
    const bytes = await readFile(path)
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  } catch (cause) {
    if (cause instanceof SwarmError) throw cause
    throw new SwarmError('DATA_MISSING', `the data file ${path} cannot be read${readFailure(cause)}`, {
      cause,
      hint: 'Give the data with --data, or correct the path in the job file.',
    })
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
