/**
 * A smoother curve for the eye: an exponential moving average without the bias of its beginning (Kingma and Ba 2015,
 * section 3, used there for Adam's moments), as TensorBoard's slider does it.
 *
 *     m_t = w · m_{t−1} + (1 − w) · x_t,   shown: m_t / (1 − w^t)
 */

/** `values` smoothed by `weight`, 0 (as they are) to below 1. A `null` stays one and does not count as a step. */
export function smoothed(values: readonly (number | null)[], weight: number): (number | null)[] {
  let [mean, steps] = [0, 0]
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return null
    mean = weight * mean + (1 - weight) * value
    steps++
    return mean / (1 - weight ** steps)
  })
}
