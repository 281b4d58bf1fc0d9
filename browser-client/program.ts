/**
 * What the page loads after the donor's click: the peer (libp2p, Starling's protocols), its workers and the runtime
 * that computes. The build lists the files with their sizes in `program.json`, so that the page can say how far it is.
 */

import { SwarmError } from '../protocols/core/errors.ts'

/** Where the build writes the list, relative to the page. */
export const programPath = 'program.json'

/** One file of the program. */
export interface ProgramFile {
  /** Relative to the page; the name changes with the content. */
  path: string
  /** Uncompressed. */
  bytes: number
}

/** The build's list of what there is to load. */
export interface Program {
  /** Names this build; the same sources give the same. */
  build: string
  /** The module that exports `startDonation`, and the scripts of its workers. */
  entries: { peer: string; computeWorker: string; timerWorker: string }
  /** Everything that {@link entries} load. */
  files: readonly ProgramFile[]
  /** onnxruntime's builds, of which one is used: glue code and WebAssembly. */
  runtimes: Readonly<Record<RuntimeName, { glue: ProgramFile; wasm: ProgramFile }>>
}

/**
 * Builds of onnxruntime-web 1.30: `wasm` computes on the CPU alone; `webgpu` and `jspi` on both, `jspi` where the
 * browser can suspend WebAssembly, which makes it smaller by a third.
 */
export type RuntimeName = 'wasm' | 'webgpu' | 'jspi'

export interface DownloadOptions {
  /** Called with the bytes that have come so far; at most once for each piece that arrives. */
  onProgress(bytes: number): void
  signal: AbortSignal
}

/**
 * The list of this build.
 * @throws {SwarmError} DOWNLOAD_FAILED.
 */
export async function fetchProgram({ signal }: { signal: AbortSignal }): Promise<Program> {
  const response = await ask(programPath, signal)
  return response.json().catch((cause: unknown) => {
    signal.throwIfAborted()
    // a proxy or a login page of the network answered in the server's place, or the connection broke
    throw downloadFailed(programPath, 'what came is not what this page was built with', cause)
  }) as Promise<Program>
}

/**
 * A page that was opened before its server was renewed must not begin with the newer peer: the two speak by the build
 * they are of. `pageBuild`: what the page says of itself.
 * @throws {SwarmError} VERSION_MISMATCH.
 */
export function requireSameBuild({ build }: Pick<Program, 'build'>, pageBuild: string): void {
  if (build === pageBuild) return
  throw new SwarmError(
    'VERSION_MISMATCH',
    `this page is build ${pageBuild}, its server has build ${build} by now`,
    {
      hint: 'Reload the page to get its newest version.',
    },
  )
}

/**
 * Brings `files` into the browser's cache, from which imports and workers then take them.
 * @throws {SwarmError} DOWNLOAD_FAILED naming the file.
 */
export async function downloadFiles(
  files: readonly ProgramFile[],
  { onProgress, signal }: DownloadOptions,
): Promise<void> {
  let bytes = 0
  await Promise.all(
    files.map(async ({ path }) => {
      const reader = (await ask(path, signal)).body!.getReader()
      try {
        for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
          bytes += piece.value.byteLength
          onProgress(bytes)
        }
      } catch (cause) {
        signal.throwIfAborted()
        throw downloadFailed(path, 'the connection broke', cause)
      }
    }),
  )
}

/** Bytes of `files` together. */
export function totalBytes(files: readonly ProgramFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}

async function ask(path: string, signal: AbortSignal): Promise<Response> {
  const url = new URL(path, document.baseURI)
  const response = await fetch(url, { signal }).catch((cause: unknown) => {
    signal.throwIfAborted()
    throw downloadFailed(path, 'the server does not answer', cause)
  })
  if (!response.ok) throw downloadFailed(path, `the server answered ${response.status}`)
  return response
}

function downloadFailed(path: string, why: string, cause?: unknown): SwarmError {
  return new SwarmError('DOWNLOAD_FAILED', `${path} could not be loaded: ${why}`, {
    cause,
    retry: 'same-peer',
    hint: 'Reload the page when the server is back.',
  })
}
