/** Claims of real folders. */

import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { claimFolder } from '../../../node/storage/claimed-folder.ts'

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'starling-test-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

test('a folder has one node at a time, by whatever path it is named', async () => {
  const [home, other] = [await folder(), await folder()]
  const link = join(other, 'link')
  await symlink(home, link)
  const giveBack = await claimFolder(home)
  for (const path of [home, link])
    await expect(claimFolder(path)).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      message: `another process is the node of ${path}`,
      hint: expect.stringContaining('STARLING_HOME'),
    })
  await (await claimFolder(other))()
  await giveBack()
  await (await claimFolder(link))()
})
