/** The ONNX file that a person names, on a command line or in a job file. */

import { readFile } from 'node:fs/promises'
import { SwarmError } from '../protocols/core/errors.ts'

/**
 * The bytes of the file at `path`; they belong to the caller.
 * @throws {SwarmError} NOT_FOUND.
 */
export async function readModelFile(path: string): Promise<Uint8Array> {
  try {
    // a copy, since Buffer.slice does not copy as Uint8Array.slice does, and the engine knows no Buffer
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    throw new SwarmError('NOT_FOUND', `the model ${path} cannot be read`, {
      cause,
      hint: "Give the path of an ONNX file; a job file's model.file starts from the job file's folder.",
    })
  }
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
