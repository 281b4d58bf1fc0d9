/**
 * The ONNX file that a person names, on a command line or in a job file, with the weights that it keeps in other files.
 *
 * Those are read from the model's own folder only: a file from a stranger must not reach for what else is on this
 * machine. A path that is absolute or goes up is refused as it stands, a link by where it leads.
 */

import { open, readFile, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join, sep } from 'node:path'
import { embedExternalData, type ReadExternal } from '../../engine/onnx/external-data.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { jobBytesMax } from '../../protocols/core/limits.ts'
import { readFailure } from '../storage/read-failure.ts'

/**
 * The bytes of the model at `path`, with all of its weights inside; they belong to the caller.
 * @throws {SwarmError} NOT_FOUND; REFUSED for a weight outside of the model's folder; LIMIT_EXCEEDED; MODEL_INVALID.
 */
export async function readModelFile(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array
  try {
    // a copy, since Buffer.slice does not copy as Uint8Array.slice does, and the engine knows no Buffer
    bytes = new Uint8Array(await readFile(path))
  } catch (cause) {
    throw new SwarmError('NOT_FOUND', `the model ${path} cannot be read${readFailure(cause)}`, {
      cause,
      hint: "Give the path of an ONNX file; a job file's model.file starts from the job file's folder.",
    })
  }
  return namingModel(path, () => embedExternalData(bytes, readBeside(path)))
}

/** Reads ranges of files in the folder of the model at `path`, of all together at most what a job may have. */
function readBeside(path: string): ReadExternal {
  let bytesLeft = jobBytesMax
  return async (location, { offset, length }) => {
    bytesLeft -= length
    if (bytesLeft < 0) {
      throw new SwarmError('LIMIT_EXCEEDED', `the weights of ${path} have more than ${jobBytesMax} bytes`)
    }
    const file = await open(await insideFolder(dirname(path), location)).catch((cause) => {
      throw new SwarmError(
        'NOT_FOUND',
        `the model's data file ${location} cannot be read${readFailure(cause)}`,
        {
          cause,
          hint: 'Copy all files of the model into one folder.',
        },
      )
    })
    try {
      const { size } = await file.stat()
      if (offset + length > size) {
        throw new SwarmError(
          'MODEL_INVALID',
          `${location} has ${size} bytes; a weight ends at ${offset + length}`,
          {
            hint: 'Check that the file was copied whole.',
          },
        )
      }
      const bytes = new Uint8Array(length)
      let filled = 0
      while (filled < length) {
        const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled)
        if (bytesRead === 0)
          throw new SwarmError('MODEL_INVALID', `${location} became shorter while it was read`)
        filled += bytesRead
      }
      return bytes
    } finally {
      await file.close()
    }
  }
}

/** @throws {SwarmError} REFUSED when `location` is not a file of `folder` or below it. */
async function insideFolder(folder: string, location: string): Promise<string> {
  const refused = () =>
    new SwarmError('REFUSED', `the model keeps weights in ${location}, outside of its folder`, {
      hint: 'Keep all files of a model in one folder; do not open models from strangers that say otherwise.',
    })
  const parts = location.split(/[\\/]/)
  if (isAbsolute(location) || /^[a-z]:/i.test(location) || parts.includes('..')) throw refused()
  const home = await realpath(folder)
  const target = await realpath(join(home, ...parts)).catch(() => null)
  if (target === null) {
    throw new SwarmError('NOT_FOUND', `the model's data file ${location} is not in ${folder}`, {
      hint: 'Copy all files of the model into one folder.',
    })
  }
  if (!target.startsWith(home + sep)) throw refused()
  return target
}

/**
 * What `work` returns; its errors about the model, which it knows only as bytes, get the name of the file at `path`.
 * @throws {unknown} what `work` throws.
 */
export async function namingModel<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const isAboutModel =
      error instanceof SwarmError && (error.code === 'MODEL_INVALID' || error.code === 'MODEL_UNSUPPORTED')
    if (!isAboutModel) throw error
    throw new SwarmError(error.code, `${path}: ${error.message}`, { cause: error, hint: error.hint })
  }
}
