/** Why a file that somebody named cannot be read, for the end of a sentence that names it. */

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'its permissions do not allow it',
  EPERM: 'its permissions do not allow it',
  EMFILE: 'too many files are open',
}

/**
 * `: there is no such file`, from what the file system said; what it said itself where that is not one of the usual
 * things.
 */
export function readFailure(cause: unknown): string {
  if (!(cause instanceof Error)) return ''
  const { code } = cause as NodeJS.ErrnoException
  return `: ${(code !== undefined && reasons[code]) || cause.message}`
}
