/** The plot of errors: where its points are. */

import { expect, test } from 'vitest'
import { errorPlot } from '../../../simulator/averaging/error-plot.ts'

const series = (method: string, median: number[]) => {
  return { method, mean: median, median, high: median, drift: 0, vectorsSent: 2 }
}

test('a line starts at 1 and falls by the exponent of its error', () => {
  const svg = errorPlot([series('A', [1e-2, 1e-4])])
  // From (56, 24) to (470, 316): half of the way down after half of the rounds.
  expect(svg).toContain('points="56.0,24.0 263.0,170.0 470.0,316.0"')
})

test('an error of nothing is drawn at the edge, and the legend has the largest error first', () => {
  const svg = errorPlot([series('exact', [0]), series('none', [1])])
  expect(svg).toContain('points="56.0,24.0 470.0,316.0"')
  expect(svg.indexOf('>none<')).toBeLessThan(svg.indexOf('>exact<'))
  expect(svg).not.toContain('NaN')
})
