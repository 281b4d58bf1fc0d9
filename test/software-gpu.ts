/**
 * The graphics driver of the WebGPU tests: SwiftShader, which Chromium brings along and which computes on the CPU.
 * Tests then need no graphics processor, and give the same everywhere.
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findChromium } from '../node/build/chromium.mjs'

export const chromiumPath = findChromium()

/**
 * The driver's manifest and Vulkan's loader lie beside the browser; Debian's starts from another folder than it lies
 * in.
 */
const chromiumFolder = ['/usr/lib/chromium', dirname(chromiumPath ?? '/')].find((folder) =>
  existsSync(join(folder, 'vk_swiftshader_icd.json')),
)

/** The environment in which a process finds the driver; it is read when the process starts. */
export const softwareGpu: Readonly<Record<string, string>> =
  chromiumFolder === undefined
    ? {}
    : {
        VK_ICD_FILENAMES: join(chromiumFolder, 'vk_swiftshader_icd.json'),
        LD_LIBRARY_PATH: [chromiumFolder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
      }

/** @throws {Error} where there is no driver: a test that did not run shall not look as if it had passed. */
export function requireSoftwareGpu(): void {
  if (chromiumFolder !== undefined) return
  throw new Error('there is no Chromium with SwiftShader beside it: install it (apt-get install chromium)')
}

/** Makes Chromium offer SwiftShader to pages as their WebGPU adapter; it hides software adapters by default. */
export const chromiumWebGpuFlags = [
  '--no-sandbox', // which needs rights that a container does not give
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-unsafe-swiftshader',
] as const
