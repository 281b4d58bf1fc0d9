/** Body of `starling doctor`: runs the checks one after the other and prints a line for each, with its remedy. */

import { colorsFor } from '../terminal/colors.ts'
import type { CommonOptions } from './common-options.ts'
import { type Check, checks, type Finding } from './doctor-checks.ts'
import { exitCodes } from './exit-codes.ts'
import { type CliIo, writeJson } from './io.ts'

export interface DoctorOptions extends CommonOptions {
  /** TCP port to try to listen on; 0: any. */
  port: number
}

const marks = { ok: '✓', warn: '!', fail: '✗' } as const

/** Prints the findings; 1 when one of them is `fail`. */
export async function runDoctor(options: DoctorOptions, io: CliIo): Promise<number> {
  const findings: (Finding & { check: string })[] = []
  for (const check of checks) {
    io.signal.throwIfAborted()
    const finding = await examine(check, options, io)
    findings.push({ check: check.name, ...finding })
    if (!options.json) printFinding(io, finding)
  }
  const isHealthy = findings.every(({ status }) => status !== 'fail')
  if (options.json) writeJson(io, { success: isHealthy, checks: findings })
  return exitCodes[isHealthy ? 'ok' : 'failed'].code
}

/** A check that throws has found something too: what it threw. */
async function examine(check: Check, { port }: DoctorOptions, { env }: CliIo): Promise<Finding> {
  try {
    return await check.run({ env, port })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { status: check.isVital ? 'fail' : 'warn', message, remedy: check.remedy }
  }
}

function printFinding(io: CliIo, { status, message, remedy }: Finding): void {
  const colors = colorsFor(io.stdout, io.env)
  const color = { ok: colors.green, warn: colors.yellow, fail: colors.red }[status]
  io.stdout.write(`${color(marks[status])} ${status.padEnd(4)}  ${message}\n`)
  if (remedy !== undefined) io.stdout.write(`        ${colors.dim(remedy)}\n`)
}
