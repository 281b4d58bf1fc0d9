// @ts-check
/** Global set-up of the tests that start programs: they run from the bundles, which must be those of these sources. */

import { buildIfStale } from '../node/build/bundle.mjs'

export default () => buildIfStale()
