/** `starling doctor` on this machine, and on one where something is broken. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runProgram } from '../../node/cli/program.ts'

async function doctor(
  home: string,
  port: number,
): Promise<{ exitCode: number; findings: Map<string, Finding> }> {
  let stdout = ''
  const stream = {
    write: (text: string) => {
      stdout += text
    },
  }
  const exitCode = await runProgram(
    ['doctor', '--json', '--port', String(port)],
    {
      stdout: stream,
      stderr: stream,
      env: { STARLING_HOME: home },
      cwd: home,
      signal: new AbortController().signal,
    },
    '0.0.0',
  )
  const { success, checks } = JSON.parse(stdout) as { success: boolean; checks: Finding[] }
  expect(success).toBe(exitCode === 0)
  return { exitCode, findings: new Map(checks.map((finding) => [finding.check, finding])) }
}

interface Finding {
  check: string
  status: string
  message: string
  remedy?: string
}

test('a machine that runs these tests is healthy, and both backends compute on it', async () => {
  const { exitCode, findings } = await doctor(await temporaryFolder(), 0)
  expect(exitCode).toBe(0)
  expect(findings.get('native_backend')).toMatchObject({ status: 'ok' })
  expect(findings.get('wasm_backend')).toMatchObject({ status: 'ok' })
  expect(findings.get('state_dir')).toMatchObject({ status: 'ok' })
  expect(findings.get('loopback')).toMatchObject({ status: 'ok' })
})

test('a port in use is named, with what to do', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    const { findings } = await doctor(await temporaryFolder(), port)
    expect(findings.get('port')).toMatchObject({
      status: 'warn',
      message: `port ${port} is in use`,
      remedy: expect.stringContaining('--listen'),
    })
  } finally {
    server.close()
  }
})

test('a state folder that cannot be made fails, with what to do', async () => {
  const file = join(await temporaryFolder(), 'file')
  await writeFile(file, '')
  const { exitCode, findings } = await doctor(file, 0)
  expect(exitCode).toBe(1)
  expect(findings.get('state_dir')).toMatchObject({
    status: 'fail',
    remedy: expect.stringContaining('STARLING_HOME'),
  })
})

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-doctor-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}
