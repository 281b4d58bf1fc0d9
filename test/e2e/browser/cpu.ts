/** Processor time of a process and all that it started, from Linux's /proc. */

import { readdirSync, readFileSync } from 'node:fs'

/** Ticks of a second in /proc: fixed at 100 for user space on every Linux (`man 5 proc`). */
const ticks = 100

/** Seconds of processor time that the living processes from `root` down have used. */
export function cpuSeconds(root: number): number {
  const children = new Map<number, number[]>()
  const used = new Map<number, number>()
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      // pid (name) state parent …; the name may hold anything. utime and stime are fields 14 and 15.
      const fields = readFileSync(`/proc/${name}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')
      const parent = Number(fields[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(name)])
      used.set(Number(name), (Number(fields[11]) + Number(fields[12])) / ticks)
    } catch {
      // gone meanwhile
    }
  }
  const sum = (pid: number): number =>
    (children.get(pid) ?? []).reduce((total, child) => total + sum(child), used.get(pid) ?? 0)
  return sum(root)
}
