/** The trained model as a file: the owner's ONNX graph with the weights of one agreed state. */

import { access, constants, mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CID } from 'multiformats/cid'
import { outerOptimizer } from '../../engine/job-settings.ts'
import { withParameters } from '../../engine/model/with-parameters.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import type { Manifest } from '../../protocols/jobs/index.ts'
import { stateBlocks } from '../../protocols/run/blocks.ts'
import { fetchState } from '../../protocols/run/fetch-state.ts'
import type { SwarmNode } from '../network/swarm-node.ts'
import { replaceFile } from '../storage/durable-file.ts'

export interface TrainedModelInit {
  node: SwarmNode
  job: string
  manifest: Manifest
  /** The model's trainable tensors, in their order. */
  parameters: readonly ParameterSpec[]
  /** Root of the state. */
  root: string
  /** Peers that hold it: the coordinator. */
  peers: readonly string[]
}

/**
 * Fetches the state and puts its weights into the job's model. @returns the ONNX file.
 * @throws {SwarmError} BLOCK_NOT_FOUND when nobody holds the state any more.
 */
export async function trainedModel(
  { node, job, manifest, parameters, root, peers }: TrainedModelInit,
  { signal }: { signal: AbortSignal },
): Promise<Uint8Array> {
  const { shards } = node.services
  const model = await shards.fetchFile(CID.parse(manifest.model.cid), { signal, peers: () => peers })
  const parameterCount = parameters.reduce((sum, { length }) => sum + length, 0)
  const optimizer = outerOptimizer(manifest.train, manifest.swarm.outer, parameters)
  const state = await fetchState(
    {
      blocks: stateBlocks(shards),
      root,
      peers,
      expected: { job, parameters: parameterCount, outer: optimizer.stateLength(parameterCount) },
    },
    { signal },
  )
  return withParameters(model, parameters, state.parameters)
}

/**
 * Looks whether {@link writeModel} could write into `folder`, which need not be there yet, and changes nothing: a run
 * of hours must not find out at its end.
 * @throws {SwarmError} STORAGE_FAILED naming what is in the way.
 */
export async function requireWritable(folder: string): Promise<void> {
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => error)
  if (found instanceof Error && found.code === 'ENOENT' && dirname(folder) !== folder)
    return requireWritable(dirname(folder))
  const refused =
    found instanceof Error ? found : await access(folder, constants.W_OK).catch((error) => error)
  if (refused === undefined && !(found instanceof Error) && found.isDirectory()) return
  throw new SwarmError('STORAGE_FAILED', `the trained model cannot be written below ${folder}`, {
    cause: refused,
    hint: 'Choose another folder with --output.',
  })
}

/**
 * Writes `bytes` to `path`, whole or not at all.
 * @throws {SwarmError} STORAGE_FAILED.
 */
export async function writeModel(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await replaceFile(path, [bytes])
  } catch (cause) {
    throw new SwarmError('STORAGE_FAILED', `cannot write the model to ${path}`, {
      cause,
      hint: 'Choose another folder with --output.',
    })
  }
}
