/**
 * Says in words what is wrong with a job: schema issues become sentences that name the value and what is allowed.
 *
 * Paths are in TypeScript's camelCase; people read the job file's snake_case, so every text uses that. Where a key
 * stands in a file (line, column) and what was probably meant is the job file reader's business.
 */

import type * as z from 'zod'

/** A rule that was broken. */
export interface Problem {
  /** Of the key it is about, from the top: `['train', 'learningRate']`. */
  path: readonly (string | number)[]
  /** Reads on after the key: `is missing`, `must be at most 32, not 99`. */
  message: string
  /** The key itself is not known. */
  isUnknownKey?: boolean
}

type Issue = z.core.$ZodIssue

/** One problem for every issue that a schema found in `input`. */
export function problemsOf(issues: readonly Issue[], input: unknown): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = issue.path.map((key) => (typeof key === 'number' ? key : String(key)))
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: 'is not a known key',
        isUnknownKey: true,
      }))
    }
    const value = valueAt(input, path)
    if (value === undefined) return [{ path, message: `is missing${allowed(issue)}` }]
    // a whole section is no value to quote
    if (issue.code === 'custom' && typeof value === 'object') return [{ path, message: rule(issue) }]
    return [{ path, message: `${rule(issue)}, not ${shortText(value)}` }]
  })
}

/** `train.learning_rate`: a path as a person reads it. */
export function pathText(path: readonly (string | number)[]): string {
  return path.map((key) => snakeCase(String(key))).join('.')
}

/** `learningRate` → `learning_rate`. */
export function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function allowed(issue: Issue): string {
  if (issue.code === 'invalid_value' || issue.code === 'invalid_union') return `: it ${rule(issue)}`
  return ''
}

function rule(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${nouns[issue.expected] ?? `a value of type ${issue.expected}`}`
    case 'invalid_value':
      return `must be ${alternatives(issue.values)}`
    case 'invalid_union':
      return `must be ${alternatives('options' in issue && Array.isArray(issue.options) ? issue.options : [])}`
    case 'too_small':
      return `must be ${bound(issue.origin, issue.inclusive ? 'at least' : 'above', issue.minimum)}`
    case 'too_big':
      return `must be ${bound(issue.origin, issue.inclusive ? 'at most' : 'below', issue.maximum)}`
    default:
      // a check of ours: its message is the rule
      return issue.message
  }
}

const nouns: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  object: 'a section with keys',
  array: 'a list',
  tuple: 'a list',
  boolean: 'true or false',
}

function bound(origin: string, relation: string, limit: number | bigint): string {
  if (origin === 'string') return `${relation} ${limit} characters long`
  if (origin === 'array') return `a list of ${relation} ${limit} items`
  return `${relation} ${limit}`
}

function alternatives(values: readonly unknown[]): string {
  const texts = values.map(String)
  return texts.length < 2 ? texts.join('') : `${texts.slice(0, -1).join(', ')} or ${texts.at(-1)}`
}

function valueAt(input: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    input,
  )
}

/** Values come from strangers and go to a terminal: JSON escapes control characters, and 60 characters are enough. */
function shortText(value: unknown): string {
  // JSON knows no NaN and no bigint, which dag-cbor gives for integers beyond 2^53
  const asText = (item: unknown) => (typeof item === 'bigint' ? String(item) : item)
  const isNumber = typeof value === 'number' || typeof value === 'bigint'
  const text = isNumber ? String(value) : (JSON.stringify(value, (_, item) => asText(item)) ?? typeof value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
