/**
 * Light, dark, or as the system has it: kept in this browser, and told to the stylesheet by an attribute of the page.
 */

import { computed, effect, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import type { Kept } from './kept.ts'

export const themes = ['auto', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

export class Look {
  /** What the donor chose. */
  readonly theme: Signal<Theme>
  /** What is shown: for what is drawn on a canvas and has to be drawn again. */
  readonly scheme: ReadonlySignal<'light' | 'dark'>
  readonly #kept: Kept

  constructor(kept: Kept, window: Window) {
    this.#kept = kept
    const found = kept.read('theme')
    this.theme = signal(themes.find((one) => one === found) ?? 'auto')
    const system = window.matchMedia('(prefers-color-scheme: dark)')
    const isSystemDark = signal(system.matches)
    system.addEventListener('change', () => {
      isSystemDark.value = system.matches
    })
    this.scheme = computed(() => {
      const theme = this.theme.value
      return theme === 'auto' ? (isSystemDark.value ? 'dark' : 'light') : theme
    })
    effect(() => {
      window.document.documentElement.dataset.theme = this.theme.value
    })
  }

  choose(theme: Theme): void {
    this.theme.value = theme
    this.#kept.write('theme', theme)
  }
}
