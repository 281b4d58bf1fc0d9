/** What the command lines of the benchmarks become: each option under the name by which its measurement reads it. */

import { Command, CommanderError } from 'commander'
import { expect, test } from 'vitest'
import { addMeasurements } from '../../../bench/commands.ts'

/** The options that the words of a command line give their measurement. */
function optionsOf(...words: string[]): unknown {
  let seen: unknown
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} })
  addMeasurements(program, () => async (_, command) => {
    seen = command.opts()
  })
  program.parse(words, { from: 'user' })
  return seen
}

test('reduce and silence take the links that are asked for', () => {
  const link = { mbitPerSecond: 100, rttMs: 50 }
  expect(
    optionsOf('reduce', '--peers', '8', '--rounds', '3', '--codecs', 'f32,int8', '--link', '100,50'),
  ).toEqual({
    peers: 8,
    parameters: 1_000_000,
    rounds: 3,
    codecs: ['f32', 'int8'],
    link,
  })
  expect(optionsOf('silence', '--link', '100,50')).toEqual({ peers: 6, seeds: 3, link })
})

test('an option of another measurement, a list where one number is wanted and an unknown name are refused', () => {
  const lines = [
    'pledges --link 100,50',
    'reduce --peers 3,5',
    'codecs --codecs f32,f64',
    'reduce --link 100',
    'rduce',
  ]
  for (const line of lines) expect(() => optionsOf(...line.split(' ')), line).toThrow(CommanderError)
})
