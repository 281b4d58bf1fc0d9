/**
 * The house's one-way streets: which room may import which, no cycles, and nothing of Node in rooms that run in a tab.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const rooms = ['engine', 'protocols', 'data', 'node', 'browser-client', 'coordinator', 'simulator'].filter(
  (room) => existsSync(join(root, room)),
)

interface Import {
  from: string
  to: string
  isTypeOnly: boolean
}

const files = rooms.flatMap((room) => sources(join(root, room)))
const imports = files.flatMap(importsOf)

/** What each file loads when it is loaded. */
const valueImports = new Map<string, string[]>(files.map((file) => [file, []]))
for (const { from, to, isTypeOnly } of imports) if (!isTypeOnly) valueImports.get(from)?.push(to)

/** Who may import whom: `[files, what they may import besides themselves]`. The first row that matches counts. */
const mayImport: readonly [RegExp, RegExp][] = [
  [/^protocols\/core\//, /^$/],
  [/^protocols\/wire\//, /^protocols\/core\//],
  [/^protocols\/\w+\/messages\.ts$/, /^protocols\/(core|wire)\//],
  [/^protocols\/\w+\/machine\.ts$/, /^protocols\/(core|wire\/codecs)\//],
  // What is to be done, then who does it in one round, then the rounds of a run.
  [/^protocols\/allreduce\/plan\//, /^protocols\/(core|wire\/codecs)\//],
  [/^protocols\/allreduce\/round\//, /^protocols\/(core|wire\/codecs|allreduce\/plan)\//],
  [/^protocols\//, /^protocols\//],
  [/^engine\//, /^protocols\/core\//],
  [/^data\//, /^protocols\/core\//],
  [/^coordinator\//, /^(protocols|engine|data)\//],
  [/^simulator\//, /^protocols\//],
  // The command line composes every program that runs under Node, the coordinator among them.
  [/^node\/cli\//, /^(protocols|engine|data|coordinator|simulator)\/|^package\.json$/],
  [/^node\//, /^(protocols|engine|data)\//],
  // What every training peer does, whatever platform it runs on, is the one room of the node that the tab shares.
  [/^browser-client\//, /^(protocols|engine|data|node\/peer)\//],
]

test('imports run one way', () => {
  const wrong = imports.filter(({ from, to }) => {
    const row = mayImport.find(([files]) => files.test(from))
    return row === undefined || !(sameRoom(from, to) || row[1].test(to))
  })
  expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
})

test('a machine, and all that it reaches, imports only its own folder, the ground floor and the codecs', () => {
  const machines = files.filter((file) => /^protocols\/\w+\/machine\.ts$/.test(file))
  expect(machines.length).toBeGreaterThan(0)
  const wrong = machines.flatMap((machine) => {
    const folder = dirname(machine)
    return reachable(machine, folder).flatMap((file) => {
      const isMessages = file === `${folder}/messages.ts`
      return (valueImports.get(file) ?? [])
        .filter(
          (to) =>
            /\/(service|index)\.ts$/.test(to) ||
            (!(to.startsWith(`${folder}/`) || /^protocols\/(core|wire\/codecs)\//.test(to)) &&
              !(isMessages && /^protocols\/wire\//.test(to))),
        )
        .map((to) => `${file} -> ${to}`)
    })
  })
  expect(wrong).toEqual([])
})

test('nothing is imported in a circle, types neither', () => {
  const edges = new Map(files.map((file) => [file, [] as string[]]))
  for (const { from, to } of imports) edges.get(from)!.push(to)
  expect(findCycle(edges)).toBeUndefined()
})

test('folders that lie side by side do not import each other', () => {
  const pairs = new Set(imports.map(({ from, to }) => `${dirname(from)} ${dirname(to)}`))
  const mutual = [...pairs].filter((pair) => {
    const [one, other] = pair.split(' ') as [string, string]
    return dirname(one) === dirname(other) && one < other && pairs.has(`${other} ${one}`)
  })
  expect(mutual).toEqual([])
})

test('rooms that run in a browser tab import nothing of Node', () => {
  const shared = files.filter((file) =>
    /^(protocols|engine|data|node\/peer|coordinator|browser-client)\//.test(file),
  )
  // The native backend is the one file that a program of Node chooses in place of the tab's.
  const exempt = new Set(['engine/backends/native.ts'])
  const wrong = shared
    .filter((file) => !exempt.has(file))
    .filter((file) => /(from|import) '(node:|onnxruntime-node)/.test(readFileSync(join(root, file), 'utf8')))
  expect(wrong).toEqual([])
})

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  // `import … from`, `export … from`, `import '…'` for its effect, and `import('…')`
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?(?:[^'"]*?from\s+)?'(\.[^']+)'|import\('(\.[^']+)'\)/g
  return [...text.matchAll(pattern)].map((match) => ({
    from: file,
    to: relative(root, join(root, dirname(file), (match[2] ?? match[3])!)),
    isTypeOnly: match[1] !== undefined,
  }))
}

function sameRoom(from: string, to: string): boolean {
  return dirname(from) === dirname(to) || dirname(to).startsWith(`${dirname(from)}/`)
    ? true
    : !from.startsWith('protocols/') && from.split('/')[0] === to.split('/')[0]
}

/** The files of `folder` that `file` loads, itself among them. */
function reachable(file: string, folder: string): string[] {
  const found = new Set([file])
  for (const one of found)
    for (const to of valueImports.get(one) ?? []) if (to.startsWith(`${folder}/`)) found.add(to)
  return [...found]
}

function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return undefined
    path.push(file)
    for (const next of edges.get(file) ?? []) {
      const cycle = visit(next)
      if (cycle !== undefined) return cycle
    }
    path.pop()
    done.add(file)
    return undefined
  }
  for (const file of edges.keys()) {
    const cycle = visit(file)
    if (cycle !== undefined) return cycle
  }
  return undefined
}
