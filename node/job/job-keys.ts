/**
 * Which keys a job file knows at a place, and what somebody meant who wrote another one: a name that other tools use,
 * the right key in the wrong section, or a typing error.
 */

import * as z from 'zod'
import { snakeCase } from '../../protocols/jobs/problems.ts'
import { jobSpecSchema } from './job-spec.ts'

/** Names for the same thing elsewhere: Hugging Face's Trainer, nanoGPT, PyTorch, OpenDiLoCo. Values in snake_case. */
const otherNames: Readonly<Record<string, string>> = {
  lr: 'learning_rate',
  base_lr: 'learning_rate',
  min_lr: 'min_learning_rate',
  lr_scheduler: 'schedule',
  lr_scheduler_type: 'schedule',
  scheduler: 'schedule',
  warmup: 'warmup_steps',
  warmup_iters: 'warmup_steps',
  lr_decay_iters: 'total_steps',
  num_decay_steps: 'decay_steps',
  max_steps: 'total_steps',
  optim: 'optimizer',
  beta1: 'betas',
  beta2: 'betas',
  eps: 'epsilon',
  adam_epsilon: 'epsilon',
  max_grad_norm: 'grad_clip',
  clip_grad_norm: 'grad_clip',
  per_device_train_batch_size: 'batch_size',
  batch: 'batch_size',
  inner_steps: 'local_steps',
  h: 'local_steps',
  compression: 'codec',
  outer_optimizer: 'outer',
  min_clients: 'min_peers',
  eval_interval: 'evaluate_every',
  eval_every: 'evaluate_every',
  max_time: 'max_minutes',
  block_size: 'context',
  path: 'file',
  hash: 'sha256',
  type: 'kind',
}

/** The keys, in snake_case, that the section at `path` of `value` may have. Empty where no section is known. */
function keysAt(path: readonly (string | number)[], value: unknown): string[] {
  return namesAt(path, value).map(snakeCase)
}

/** The same in camelCase, as paths have them. */
function namesAt(path: readonly (string | number)[], value: unknown): string[] {
  let schema: z.core.$ZodType | undefined = jobSpecSchema
  let here = value
  for (const key of path) {
    schema = shapeOf(schema, here)?.[key]
    here = isObject(here) ? here[key] : undefined
  }
  return Object.keys(shapeOf(schema, here) ?? {})
}

/** The key of the section at `path` that was probably meant by the unknown `key`, in snake_case. */
export function meantKey(
  key: string,
  path: readonly (string | number)[],
  value: unknown,
): string | undefined {
  const known = keysAt(path, value)
  const other = otherNames[key.toLowerCase()]
  return other !== undefined && known.includes(other) ? other : nearest(snakeCase(key), known)
}

/** What to do about the unknown `key` of the section at `path`: the rest of a sentence, or nothing. */
export function suggestion(key: string, path: readonly (string | number)[], value: unknown): string {
  const meant = meantKey(key, path, value)
  if (meant !== undefined) return `: write ${meant}`
  const wanted = otherNames[key.toLowerCase()] ?? key
  const below = namesAt(path, value).find((name) => keysAt([...path, name], value).includes(wanted))
  if (below !== undefined) return `: ${wanted} belongs into ${snakeCase(below)}`
  const sections = Object.keys(jobSpecSchema.shape)
  const section = path.length < 2 && sections.find((name) => keysAt([name], value).includes(wanted))
  if (section) return `: ${wanted} belongs to section ${section}`
  const known = keysAt(path, value)
  return known.length === 0 ? '' : `; known here: ${known.join(', ')}`
}

/** The candidate that differs least from `word`, if it is less than a third of it and at most two letters. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const reach = Math.min(2, Math.ceil(word.length / 3))
  return candidates
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .filter(({ distance }) => distance <= reach)
    .sort((a, b) => a.distance - b.distance)[0]?.candidate
}

/** Insertions, deletions, changes and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + change)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwap) least = Math.min(least, rows[i - 2]![j - 2]! + 1)
      row.push(least)
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}

type Shape = Readonly<Record<string, z.core.$ZodType>>

/** The keys of an object schema, or of that option of a union which `value` chooses. */
function shapeOf(schema: z.core.$ZodType | undefined, value: unknown): Shape | undefined {
  if (schema instanceof z.ZodObject) return schema.shape
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault)
    return shapeOf(schema.unwrap(), value)
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return undefined
  const tag = schema.def.discriminator
  const option = schema.options.find((candidate) => {
    const literal = shapeOf(candidate, value)?.[tag]
    return literal instanceof z.ZodLiteral && isObject(value) && literal.safeParse(value[tag]).success
  })
  return shapeOf(option, value)
}

function isObject(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null
}
