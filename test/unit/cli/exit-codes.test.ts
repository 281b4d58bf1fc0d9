/** Exit codes that scripts rely on, and the folders that Starling writes to. */

import { expect, test } from 'vitest'
import { compareVersions } from '../../../node/cli/doctor-checks.ts'
import { exitCodeOfError, exitCodeOfRun, exitCodes } from '../../../node/cli/exit-codes.ts'
import { dirsFor } from '../../../node/storage/dirs.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'

test('each way a run ends has its exit code', () => {
  expect(
    (['converged', 'plateaued', 'out-of-budget', 'diverged', 'stopped'] as const).map(exitCodeOfRun),
  ).toEqual([0, 104, 104, 105, 103])
})

test('errors of people, of the swarm and of ours are told apart', () => {
  const codes = [
    'USAGE',
    'JOB_INVALID',
    'NOT_FOUND',
    'REFUSED',
    'NO_COORDINATOR',
    'TIMEOUT',
    'VERSION_MISMATCH',
  ] as const
  expect(codes.map((code) => exitCodeOfError(new SwarmError(code, '')))).toEqual([2, 2, 3, 4, 5, 6, 7])
  expect(exitCodeOfError(new Error('a bug'))).toBe(1)
})

test('no two meanings share a code, and a shell cuts none', () => {
  const codes = Object.values(exitCodes).map(({ code }) => code)
  expect(new Set(codes).size).toBe(codes.length)
  expect(Math.max(...codes)).toBeLessThan(256)
})

test('folders follow XDG, and STARLING_HOME moves all of them', () => {
  expect(dirsFor({ HOME: '/home/ada' })).toEqual({
    config: '/home/ada/.config/starling',
    state: '/home/ada/.local/state/starling',
    data: '/home/ada/.local/share/starling',
    cache: '/home/ada/.cache/starling',
  })
  expect(dirsFor({ HOME: '/home/ada', XDG_CACHE_HOME: '/fast', XDG_STATE_HOME: 'relative' })).toMatchObject({
    cache: '/fast/starling',
    state: '/home/ada/.local/state/starling',
  })
  expect(Object.values(dirsFor({ STARLING_HOME: '/s', XDG_CACHE_HOME: '/fast' }))).toEqual([
    '/s/config',
    '/s/state',
    '/s/data',
    '/s/cache',
  ])
})

test('versions are compared as numbers', () => {
  expect(compareVersions('20.19.0', '20.19')).toBe(0)
  expect(compareVersions('20.9.1', '20.19')).toBeLessThan(0)
  expect(compareVersions('22.0.0', '20.19')).toBeGreaterThan(0)
})
