/**
 * Where Starling keeps files, after the XDG base directory specification 0.8: configuration, what must outlive a
 * restart (keys, checkpoints), and what can be fetched again. `STARLING_HOME` puts all of them under one folder.
 */

import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'

export interface Dirs {
  /** What a person edits. */
  config: string
  /** Identity key and logs: lost only on purpose. */
  state: string
  /** Results and stored blocks. */
  data: string
  /** Downloads; may be deleted at any time. */
  cache: string
}

/** The folders for `env`. None is created here. A relative XDG path is ignored, as the specification says. */
export function dirsFor(env: Readonly<Record<string, string | undefined>> = process.env): Dirs {
  if (env.STARLING_HOME) {
    const home = resolve(env.STARLING_HOME)
    return {
      config: join(home, 'config'),
      state: join(home, 'state'),
      data: join(home, 'data'),
      cache: join(home, 'cache'),
    }
  }
  const home = env.HOME || homedir()
  const base = (variable: string | undefined, fallback: string): string =>
    join(variable !== undefined && isAbsolute(variable) ? variable : join(home, fallback), 'starling')
  return {
    config: base(env.XDG_CONFIG_HOME, '.config'),
    state: base(env.XDG_STATE_HOME, '.local/state'),
    data: base(env.XDG_DATA_HOME, '.local/share'),
    cache: base(env.XDG_CACHE_HOME, '.cache'),
  }
}
