/**
 * What readers of folders share: the files as whoever has a file system hands them over, and the folders that are
 * splits.
 */

/** A file of the folder. `path`: from the folder on, with slashes. */
export interface FolderFile {
  path: string
  bytes: Uint8Array
}

/** The folder of what trains, and those that what validates may lie in. */
export const trainName = 'train'
export const validationNames: readonly string[] = ['test', 'val', 'validation']
