/** Whether a process of this machine lives, by its id. */

/** True also for a process of another person. `pid` > 0. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
