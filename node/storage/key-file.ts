/**
 * Files that hold a secret on one line: readable by their owner only, and whole as soon as they are there. What the line
 * means is the caller's business.
 */

import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SwarmError } from '../../protocols/core/errors.ts'

/** Owner may read and write, nobody else anything. */
const privateMode = 0o600

/**
 * The line in `path`, without spaces around it; undefined when there is no such file.
 * @throws {SwarmError} STORAGE_FAILED when others can read the file, or this program cannot.
 */
export async function readKeyFile(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0 && process.platform !== 'win32') {
      const octal = (mode & 0o777).toString(8)
      throw new SwarmError('STORAGE_FAILED', `the key file ${path} is open to others (mode ${octal})`, {
        hint: `Run: chmod 600 ${path}`,
      })
    }
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (error instanceof SwarmError) throw error
    throw new SwarmError('STORAGE_FAILED', `cannot read the key file ${path}`, {
      cause: error,
      hint: 'Check the permissions of the file and of its folder.',
    })
  }
}

/**
 * False when the file is there already. It appears whole: another process may be about to read it.
 * @throws {SwarmError} STORAGE_FAILED.
 */
export async function writeKeyFile(path: string, text: string): Promise<boolean> {
  const temporary = `${path}.${randomUUID()}`
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(temporary, `${text}\n`, { mode: privateMode, flag: 'wx', flush: true })
    await link(temporary, path) // fails where rename would replace
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new SwarmError('STORAGE_FAILED', `cannot write the key file ${path}`, {
      cause: error,
      hint: 'Check that the folder exists, is writable, and that the disk is not full.',
    })
  } finally {
    await rm(temporary, { force: true }).catch(() => {})
  }
}
