/** What is checked before the peer is loaded. */

import { expect, test } from 'vitest'
import { requireSameBuild } from '../../../browser-client/program.ts'

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
