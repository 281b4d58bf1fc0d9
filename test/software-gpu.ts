/**
 * The graphics driver of the WebGPU tests: SwiftShader, which Chromium brings along and which computes on the CPU. Tests then
 * need no graphics processor, and give the same everywhere.
 */
import { existsSync } from 'node:fs'

/** Where Debian's package `chromium` puts browser, Vulkan loader and driver. */
export const chromiumFolder = '/usr/lib/chromium'

const driver = `${chromiumFolder}/vk_swiftshader_icd.json`

/** The environment in which a process finds the driver; it is read when the process starts. */
export const softwareGpu = {
  VK_ICD_FILENAMES: driver,
  LD_LIBRARY_PATH: [chromiumFolder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
}

/** @throws {Error} where there is no driver: a test that did not run shall not look as if it had passed. */
export function requireSoftwareGpu(): void {
  if (existsSync(driver)) return
  throw new Error(`${driver} is missing: install Debian's package 'chromium' (apt-get install chromium)`)
}
