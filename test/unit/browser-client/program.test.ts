/** What is checked before the peer is loaded. */

import { expect, test, vi } from 'vitest'
import { fetchProgram, requireSameBuild } from '../../../browser-client/program.ts'

test('a page that is older than the program of its server does not begin with it, and says to reload', () => {
  expect(() => requireSameBuild({ build: 'b2' }, 'b2')).not.toThrow()
  expect(() => requireSameBuild({ build: 'b2' }, 'b1')).toThrow(
    expect.objectContaining({
      code: 'VERSION_MISMATCH',
      message: 'this page is build b1, its server has build b2 by now',
      hint: 'Reload the page to get its newest version.',
    }),
  )
})

test('a page of somebody else in the place of the program is a download that failed, not a bug', async () => {
  vi.stubGlobal('document', { baseURI: 'http://localhost:4003/' })
  vi.stubGlobal('fetch', async () => new Response('<html>Log in to the network</html>'))
  const loading = fetchProgram({ signal: new AbortController().signal })
  await expect(loading.finally(() => vi.unstubAllGlobals())).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: expect.stringContaining('program.json'),
  })
})
