/** What the tab shows among other tabs: its title and its icon say how things stand. */

import type { Stage } from './donor-page.ts'

export type Face = 'idle' | 'working' | 'paused' | 'done' | 'failed'

/** The face of a page at `stage`, `isPaused` while nothing may run. */
export function faceOf(stage: Stage, isPaused: boolean): Face {
  if (stage.kind === 'giving') return isPaused ? 'paused' : 'working'
  if (stage.kind === 'failed') return 'failed'
  return stage.kind === 'over' ? 'done' : 'idle'
}

const marks: Record<Face, string> = { idle: '', working: '▶ ', paused: '⏸ ', done: '✓ ', failed: '⚠ ' }

/** `▶ round 12 · glyphs · Starling`. */
export function titleOf(face: Face, job: string | null, round: number | null): string {
  const where = face === 'working' && round !== null ? `round ${round}` : face === 'paused' ? 'paused' : null
  return marks[face] + [where, job, 'Starling'].filter((part) => part !== null).join(' · ')
}

/** Colours that hold against light and dark tab bars alike; each face also has a shape of its own. */
const colors: Record<Face, string> = {
  idle: '#6b7185',
  working: '#17907f',
  paused: '#c27a12',
  done: '#6a59d1',
  failed: '#cf3f35',
}

const badges: Record<Face, string> = {
  idle: '',
  working: '',
  paused: '<path d="M20 19h4v10h-4zM27 19h4v10h-4z" fill="#fff" stroke="#000" stroke-opacity=".3"/>',
  done: '<path d="M19 24l4 4 8-9" fill="none" stroke="#fff" stroke-width="4"/>',
  failed: '<path d="M25 17v8M25 28v3" stroke="#fff" stroke-width="4"/>',
}

/** The outline of a starling in a square of 32, looking right. */
export const birdPath =
  'M3 26 L11 17 C11 10 15 5 20.5 5 C23.500 5 25 6.500 25.700 8.200 L30.500 10 L25.800 11.600 C25.600 18.500 21 23.500 13.500 23.500 L9 28 Z'

/** The icon as a data URI. */
export function iconOf(face: Face): string {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="${birdPath}" fill="${colors[face]}"/>${badges[face]}</svg>`
  return `data:image/svg+xml,${encodeURIComponent(svg)}`
}

/** Shows both in `document`. */
export function showFace(document: Document, face: Face, title: string): void {
  document.title = title
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]')
  if (link !== null && link.href !== iconOf(face)) link.href = iconOf(face)
}
