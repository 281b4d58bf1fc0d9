/**
 * One process at a time is the node of a folder. Its key and its votes are one peer's: two processes with them would
 * promise different things under one name, and a round could be decided twice (docs/decisions/0017).
 *
 * Whoever listens on a name that is made from the folder's path has it. The system gives the name back when its process
 * ends, however that ends; a file with a process's number in it would outlive a killed one, and by then the number may
 * be somebody else's. Not seen is a process in another container or on another machine that shares the folder.
 */

import { createHash } from 'node:crypto'
import { realpath, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SwarmError } from '../../protocols/core/errors.ts'

/**
 * Claims `folder`, which exists. The returned function gives it back. Where the system lets this process have no such
 * names (a service that may open network sockets only), nothing is claimed: what guards against a mistake is no reason
 * to compute nothing.
 * @throws {SwarmError} STORAGE_FAILED while another claim stands, of this process or another one.
 */
export async function claimFolder(folder: string): Promise<() => Promise<void>> {
  const name = nameOf(await realpath(folder))
  let server = await listening(name)
  if (server === 'taken' && (await isLeftBehind(name))) server = await listening(name)
  if (server === 'taken') {
    throw new SwarmError('STORAGE_FAILED', `another process is the node of ${folder}`, {
      hint: 'Stop it, or give this one a folder of its own with STARLING_HOME.',
    })
  }
  const claim = server
  return async () => {
    if (claim !== 'not allowed') await new Promise((resolve) => claim.close(resolve))
  }
}

function listening(name: string): Promise<Server | 'taken' | 'not allowed'> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy()).unref()
    server.once('listening', () => resolve(server))
    server.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code === 'EADDRINUSE' ? 'taken' : 'not allowed'),
    )
    server.listen(name)
  })
}

/** Names that are files stay when a process is killed: this removes one that nobody listens on. */
async function isLeftBehind(name: string): Promise<boolean> {
  if (!name.startsWith(tmpdir())) return false
  const isHeard = await new Promise<boolean>((resolve) => {
    const socket = connect(name, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
  if (!isHeard) await rm(name, { force: true })
  return !isHeard
}

/**
 * Short whatever the path's length: a socket's name has about a hundred bytes. Only Linux and Windows have names that
 * are no files.
 */
function nameOf(path: string): string {
  const name = `starling-${createHash('sha256').update(path).digest('hex').slice(0, 32)}`
  if (process.platform === 'linux') return `\0${name}`
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.socket`)
}
