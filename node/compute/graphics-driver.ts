/**
 * Whether it is worth asking for a graphics processor. On Linux WebGPU runs on Vulkan, whose drivers announce
 * themselves by a manifest; asking where there is none prints a warning of Dawn's to the terminal, past every log
 * level.
 */
import { readdirSync } from 'node:fs'

/** Where Vulkan's loader looks for manifests (Khronos, "Architecture of the Vulkan Loader", Linux). */
const manifestFolders = ['/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/usr/share/vulkan/icd.d']

/** True on other systems than Linux: there WebGPU runs on Metal or Direct3D, which are always there. */
export function hasGraphicsDriver(env: NodeJS.ProcessEnv = process.env): boolean {
  if (process.platform !== 'linux') return true
  return [env.VK_DRIVER_FILES, env.VK_ICD_FILENAMES].some(Boolean) || manifestFolders.some(hasManifest)
}

function hasManifest(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => name.endsWith('.json'))
  } catch {
    return false // the folder is not there
  }
}
