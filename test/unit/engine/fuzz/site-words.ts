/** Words for chance that the steps of random graphs are written in. */
import type { Site } from './random-graph.ts'

/** A whole number from 0 to `bound` - 1. */
export const below = (site: Site, bound: number) => site.random.integer(bound)
export const flip = (site: Site) => below(site, 2) === 1
export const among = <Item>(site: Site, items: readonly Item[]) => items[below(site, items.length)]!
