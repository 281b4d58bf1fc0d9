/**
 * Reads a job file: YAML in snake_case, checked against the schema of jobs, every problem reported at once with its
 * line and column. It reads only the job file; whether the files it names exist is found out by whoever opens them.
 *
 * YAML is taken as plain data: anchors, aliases, tags and merge keys are refused, so that what is read is what is
 * written.
 */

import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import { SwarmError } from '../../protocols/core/errors.ts'
import { crossChecks } from '../../protocols/jobs/cross-checks.ts'
import { type Problem, pathText, problemsOf } from '../../protocols/jobs/problems.ts'
import { modelSchema, swarmSchema, trainSchema } from '../../protocols/jobs/spec.ts'
import { readFailure } from '../storage/read-failure.ts'
import { meantKey, suggestion } from './job-keys.ts'
import { completed, type JobSpec, jobSpecSchema } from './job-spec.ts'

/** A job file is written by hand; a longer one is something else. */
const jobFileBytesMax = 64 * 1024

/** Problems that one message lists: more do not fit a screen, and the rest comes up after these are mended. */
const shownProblemsMax = 40

/** Errors of the YAML itself: those after the first are mostly its echo. */
const syntaxProblemsMax = 3

/** Sections within sections; the format itself needs three. */
const depthMax = 8

/** A problem with its place in the file. Lines and columns count from 1. */
export interface FileProblem {
  line: number
  column: number
  /** The whole sentence, key included. */
  message: string
}

/** A job file that was read without problems. */
export interface JobFile {
  spec: JobSpec
  /** The folder that its paths start from. */
  directory: string
  /** The ONNX file, as an absolute path. */
  modelPath: string
}

/**
 * Reads and checks the job file at `path`.
 * @throws {SwarmError} NOT_FOUND; JOB_INVALID naming every problem as `file:line:column: message`.
 */
export async function readJobFile(path: string): Promise<JobFile> {
  const text = await readText(path)
  const { spec, problems } = parseJobFile(text)
  if (spec === undefined) {
    const name = basename(path)
    const lines = problems
      .slice(0, shownProblemsMax)
      .map(({ line, column, message }) => `${name}:${line}:${column}: ${message}`)
    const rest = problems.length - lines.length
    if (rest > 0) lines.push(`and ${rest} more`)
    const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
    throw new SwarmError('JOB_INVALID', `${path} has ${count}:\n${lines.join('\n')}`, {
      hint: 'Correct these lines; examples/glyphs/job.yaml shows a complete job file.',
    })
  }
  const directory = dirname(resolve(path))
  return { spec, directory, modelPath: resolve(directory, spec.model.file) }
}

/** The job that `text` describes, or everything that is wrong with it, in the order of the file. */
export function parseJobFile(text: string): { spec?: JobSpec; problems: FileProblem[] } {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, merge: false })
  const located = (offset: number, message: string): FileProblem => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col, message }
  }
  if (document.errors.length > 0) {
    const errors = document.errors.slice(0, syntaxProblemsMax)
    return { problems: errors.map(({ pos, message }) => located(pos[0], firstLine(message))) }
  }
  const reader = new PlainReader()
  const value = reader.read(document.contents as Node | null, [])
  const parsed = jobSpecSchema.safeParse(value)
  const problems = [
    ...withoutEchoes(reader.problems, parsed.success ? [] : problemsOf(parsed.error.issues, value), value),
    ...joined(value),
  ].map((problem) => located(reader.offsetOf(problem.path), sentence(problem, value, reader)))
  problems.sort((a, b) => a.line - b.line || a.column - b.column)
  if (!parsed.success || problems.length > 0) return { problems }
  return { spec: { ...parsed.data, convergence: completed(parsed.data.convergence) }, problems }
}

/**
 * Problems of reading and of the schema together, without those that only follow from another: a key that was written
 * wrongly is also missing, and so is a value that was not taken.
 */
function withoutEchoes(reading: Problem[], schema: Problem[], value: unknown): Problem[] {
  const explained = reading.map(({ path }) => pathText(path))
  for (const { path, isUnknownKey } of [...reading, ...schema]) {
    const section = path.slice(0, -1)
    const meant = isUnknownKey === true ? meantKey(String(path.at(-1)), section, value) : undefined
    if (meant !== undefined) explained.push(pathText([...section, meant]))
  }
  return [...reading, ...schema.filter(({ path }) => !explained.includes(pathText(path)))]
}

/** The checks between sections, as far as the sections themselves are right. */
function joined(value: unknown): Problem[] {
  const section = (name: string) =>
    typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
  const model = modelSchema.safeParse(section('model'))
  const train = trainSchema.safeParse(section('train'))
  const swarm = swarmSchema.safeParse(section('swarm') ?? {})
  const convergence = jobSpecSchema.shape.convergence.safeParse(section('convergence'))
  if (!model.success || !train.success || !swarm.success || !convergence.success) return []
  return crossChecks({
    model: model.data,
    train: train.data,
    swarm: swarm.data,
    convergence: completed(convergence.data),
  })
}

function sentence({ path, message, isUnknownKey }: Problem, value: unknown, reader: PlainReader): string {
  if (path.length === 0) return value === null ? 'the job file is empty' : `the job file ${message}`
  if (isUnknownKey !== true) return `${pathText(path)} ${message}`
  // an unknown key is shown as it was written
  const section = path.slice(0, -1)
  const key = String(path.at(-1))
  const written = reader.writtenAs(path) ?? key
  const name = section.length === 0 ? written : `${pathText(section)}.${written}`
  return `${name} ${message}${suggestion(key, section, value)}`
}

/** Sections whose keys are names inside the model file, and are taken as they are written. */
const namedByModel: ReadonlySet<string> = new Set(['model.inputs', 'model.dimensions'])

/** Turns YAML nodes into plain values with camelCase keys, and remembers where each stands. */
class PlainReader {
  readonly problems: Problem[] = []
  readonly #offsets = new Map<string, number>()
  readonly #written = new Map<string, string>()

  read(node: Node | null, path: (string | number)[]): unknown {
    if (node === null) return null
    this.#place(path, node)
    if (isAlias(node)) return this.#refuse(path, 'must be written out: a reference with * is not taken')
    if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:'))
      return this.#refuse(path, `must be plain: the tag ${node.tag} is not taken`)
    if (isScalar(node)) return node.value
    if (path.length >= depthMax) return this.#refuse(path, 'is nested too deep')
    if (isSeq(node)) return node.items.map((item, index) => this.read(item as Node | null, [...path, index]))
    if (!isMap(node)) return this.#refuse(path, 'must be plain YAML')
    const entries: [string, unknown][] = []
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : ''
      const isOfModel = namedByModel.has(path.join('.'))
      const isSnakeCase = /^[a-z0-9_]+$/.test(name)
      const own = isSnakeCase && !isOfModel ? camelCase(name) : name
      const at = [...path, own]
      if (isSnakeCase || isOfModel) entries.push([own, this.read(value as Node | null, at)])
      else this.problems.push({ path: at, message: 'is not a known key', isUnknownKey: true })
      this.#place(at, key as Node)
      this.#written.set(at.join('\n'), name)
    }
    return Object.fromEntries(entries)
  }

  /** The key at `path` as it stands in the file. */
  writtenAs(path: readonly (string | number)[]): string | undefined {
    return this.#written.get(path.join('\n'))
  }

  /** Where the key at `path` stands, or the nearest section around it. */
  offsetOf(path: readonly (string | number)[]): number {
    for (let length = path.length; length > 0; length--) {
      const offset = this.#offsets.get(path.slice(0, length).join('\n'))
      if (offset !== undefined) return offset
    }
    return 0
  }

  #place(path: readonly (string | number)[], node: Node): void {
    this.#offsets.set(path.join('\n'), node.range?.[0] ?? 0)
  }

  #refuse(path: readonly (string | number)[], message: string): undefined {
    this.problems.push({ path, message })
    return undefined
  }
}

function camelCase(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function firstLine(message: string): string {
  return message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '')
}

async function readText(path: string): Promise<string> {
  if (path.endsWith('.onnx')) {
    throw new SwarmError('JOB_INVALID', `${path} is a model, and a job file is wanted`, {
      hint: 'Write a job file that names the model as model.file: examples/glyphs/job.yaml is one.',
    })
  }
  try {
    const found = await stat(path)
    if (found.isFile() && found.size > jobFileBytesMax) {
      throw new SwarmError(
        'JOB_INVALID',
        `${path} has ${found.size} bytes; a job file has at most ${jobFileBytesMax}`,
        { hint: 'Give the path of a job file, such as examples/glyphs/job.yaml; data goes with --data.' },
      )
    }
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof SwarmError) throw cause
    throw new SwarmError('NOT_FOUND', `the job file ${path} cannot be read${readFailure(cause)}`, {
      cause,
      hint: 'Give the path of a job file, such as examples/glyphs/job.yaml.',
    })
  }
}
