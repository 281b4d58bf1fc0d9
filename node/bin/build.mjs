// @ts-check
/** `npm run build`: bundles the command line and the compute worker into dist/. */

import { build } from '../build/bundle.mjs'
import { installIfNeeded } from '../build/checkout.mjs'

await installIfNeeded()
await build()
