#!/usr/bin/env node
// @ts-check
/** The command `starling`. In a checkout it builds first, when a source is newer than the bundle. */

import { pathToFileURL } from 'node:url'
import { buildIfStale, cliBundle } from '../build/bundle.mjs'
import { requireInstalled } from '../build/checkout.mjs'

requireInstalled()
await buildIfStale()
await import(pathToFileURL(cliBundle).href)
