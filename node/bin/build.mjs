// @ts-check
/** `npm run build`: bundles the programs and the donor page into dist/. */

import { build } from '../build/bundle.mjs'
import { installIfNeeded } from '../build/checkout.mjs'
import { buildTab } from '../build/tab.mjs'

await installIfNeeded()
await Promise.all([build(), buildTab()])
