/** docs/job-file.md names every key of a job file, with its default, and no other. */

import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { jobSpecSchema } from '../../../node/job/job-spec.ts'
import { snakeCase } from '../../../protocols/jobs/problems.ts'

const text = await readFile(new URL('../../../docs/job-file.md', import.meta.url), 'utf8')

/** The tables below the heading of `section` ('' for what stands before the first), each a list of rows of cells. */
function tablesOf(section: string): string[][][] {
  const part = text
    .split(/^## /m)
    .find((each, index) => (index === 0 ? '' : each.split('\n')[0]) === section)!
  const tables = part.split(/\n\n+/).filter((block) => block.startsWith('|'))
  return tables.map((table) =>
    table
      .trim()
      .split('\n')
      .map((line) => line.slice(1, -1).split(/(?<!\\)\|/))
      .map((cells) => cells.map((cell) => cell.trim())),
  )
}

/** Key → default, of a table that has a column of each name: rows after the heading and the rule below it. */
function defaultsIn([heading, _, ...rows]: string[][], column = 'default', kind?: string): object {
  const place = (name: string) => heading!.indexOf(name)
  const chosen = rows.filter((cells) => kind === undefined || cells[place('kind')] === `\`${kind}\``)
  return Object.fromEntries(
    chosen.map((cells) => [cells[place('key')]!.replaceAll('`', ''), cells[place(column)]]),
  )
}

/** Key → default, of `schema`, as a person writes it; `but` are keys that are told elsewhere. */
function defaultsOf(schema: z.core.$ZodType, but: readonly string[] = []): object {
  if (!(schema instanceof z.ZodObject)) throw new Error('no section')
  return Object.fromEntries(
    Object.entries(schema.shape)
      .map(([key, value]) => [snakeCase(key), defaultOf(value)] as const)
      .filter(([key]) => !but.includes(key)),
  )
}

function defaultOf(value: unknown): string {
  if (value instanceof z.ZodPrefault) return 'its defaults'
  if (value instanceof z.ZodOptional) return ''
  if (!(value instanceof z.ZodDefault)) return 'required'
  const { defaultValue } = value.def
  if (Array.isArray(defaultValue)) return `[${defaultValue.join(', ')}]`
  const isTiny = typeof defaultValue === 'number' && defaultValue > 0 && defaultValue < 1e-6
  return isTiny ? defaultValue.toExponential() : String(defaultValue)
}

const { model, data, train, swarm, convergence } = jobSpecSchema.shape
const kindOf = (option: z.core.$ZodType, tag: string): string => {
  const literal = option instanceof z.ZodObject ? option.shape[tag] : undefined
  return literal instanceof z.ZodLiteral ? String(literal.value) : ''
}

test.each([
  ['', jobSpecSchema],
  ['model', model],
  ['swarm', swarm.unwrap()],
  ['convergence', convergence],
])('section %j', (section, schema) => {
  expect(defaultsIn(tablesOf(section)[0]!)).toEqual(defaultsOf(schema))
})

test('section data, by kind', () => {
  const [table] = tablesOf('data')
  for (const option of data.options)
    expect(defaultsIn(table!, 'default', kindOf(option, 'kind'))).toEqual(defaultsOf(option, ['kind']))
})

test('section swarm.outer, by kind', () => {
  const [, table] = tablesOf('swarm')
  const { outer } = swarm.unwrap().shape
  for (const option of outer.unwrap().options)
    expect(defaultsIn(table!, 'default', kindOf(option, 'kind'))).toEqual(defaultsOf(option, ['kind']))
})

test('section train: what all optimizers know, and what each knows besides', () => {
  const [common, own] = tablesOf('train')
  const shared = defaultsIn(common!)
  for (const option of train.options) {
    const optimizer = kindOf(option, 'optimizer')
    const besides = Object.entries(defaultsIn(own!, optimizer)).filter(([, value]) => value !== '')
    expect({ ...shared, ...Object.fromEntries(besides) }).toEqual(defaultsOf(option))
  }
})
