/**
 * Compares a program's gradients with central differences of its own loss, parameter by parameter: along the gradient
 * itself, where the loss changes most and small steps can be told from noise, and along random directions, where a part
 * that the gradient lacks shows.
 *
 * For a direction v and a step h, φ± are the float32 values of φ ± h·v, and two numbers are compared: L(φ+) - L(φ-),
 * and g·(φ+ - φ-) with the gradient g at φ. Taking the displacement as float32 holds it, and not as 2h·v, leaves no
 * error of rounding φ.
 *
 * A loss in float32 has an error of about 2^-22 of its size, so small steps drown in noise and large ones see the
 * curvature. The step is therefore found by halving (Ridders 1982; Press et al., "Numerical Recipes", section 5.7):
 * where three steps in a row agree best, what they disagree by, and the noise, is the uncertainty of the difference.
 * (Two agree by chance where a network has kinks: a Relu that a step crosses bends the loss like a corner.) A gradient
 * is *wrong* when it lies outside that and the tolerance, and *unclear* when the uncertainty itself is larger than what
 * is measured, as for a bias in front of a normalisation, on which no loss depends.
 */
import type { Random } from '../../protocols/core/random.ts'
import type { Batch, ParameterSpec, Tensor } from '../../protocols/core/tensor.ts'
import type { Backend, Executable } from '../backends/backend.ts'
import type { TrainingProgram } from '../program/training-program.ts'

export interface GradientCheckOptions {
  random: Random
  /** Random directions for each parameter, beside its gradient's own, >= 1; the worst counts. */
  directions: number
  /** Largest share by which the two may differ, in (0, 1). */
  tolerance: number
  /** What is checked, f32[parameterCount], where it is not the program's own gradient at its initial values. */
  gradient?: Float32Array | undefined
  signal?: AbortSignal
  /** Called after each parameter. */
  onParameter?: (check: ParameterCheck) => void
}

export type Verdict = 'right' | 'wrong' | 'unclear'

/** The worst direction of one parameter. */
export interface ParameterCheck {
  readonly name: string
  readonly shape: readonly number[]
  /** Change of the loss for each unit of the step, by the gradient and by differences. */
  readonly analytic: number
  readonly numeric: number
  /** What they differ by, as a share of the larger, or of |g|·|v|/√n, which a random direction sees. */
  readonly error: number
  /** Of the difference, as the same share. */
  readonly uncertainty: number
  readonly verdict: Verdict
}

/** Root mean square of the first step, as a share of the parameter's; halved up to `halvings` times. */
const firstStep = 1 / 32
const halvings = 11
/** Of a parameter of zeros, a step is a share of this: what initialisations usually have. */
const sizeMin = 0.02
/** Error of a loss in float32, as a share of it: four roundings of 2^-24, measured on means of up to 10^6 terms. */
const lossNoise = 2 ** -22
/** Uncertainties within which an honest gradient lies. */
const uncertaintiesAllowed = 3

/**
 * Checks every weight of `program` at its initial values, with `batch`, on `backend`.
 * @throws {SwarmError} as the backend's `compile` and `run`; the reason of `signal`.
 */
export async function checkGradients(
  program: TrainingProgram,
  backend: Backend,
  batch: Batch,
  options: GradientCheckOptions,
): Promise<ParameterCheck[]> {
  const graph = await backend.compile(program.gradientModel)
  try {
    const point = new Point(program, graph, batch, options.signal)
    const { loss, gradient: own } = await point.evaluate()
    const gradient = options.gradient ?? own
    const checks: ParameterCheck[] = []
    for (const parameter of program.parameters) {
      if (parameter.kind !== 'weight') continue
      const check = await checkParameter(point, parameter, loss, gradient, options)
      options.onParameter?.(check)
      checks.push(check)
    }
    return checks
  } finally {
    await graph.release()
  }
}

/** A place in parameter space that can be moved and looked at. */
class Point {
  readonly values: Float32Array
  readonly #feeds: Record<string, Tensor>
  readonly #graph: Executable
  readonly #signal: AbortSignal | undefined

  constructor(program: TrainingProgram, graph: Executable, batch: Batch, signal: AbortSignal | undefined) {
    this.values = program.initial.slice()
    this.#graph = graph
    this.#signal = signal
    this.#feeds = { ...batch.inputs, [program.labels.name]: batch.labels }
    for (const { name, shape, offset, length } of program.parameters) {
      this.#feeds[name] = {
        dtype: 'float32',
        shape,
        data: this.values.subarray(offset, offset + length),
      }
    }
  }

  async evaluate(): Promise<{ loss: number; gradient: Float32Array }> {
    const { loss, gradient } = await this.#graph.run(this.#feeds, { signal: this.#signal })
    return { loss: loss!.data[0]!, gradient: gradient!.data as Float32Array }
  }
}

async function checkParameter(
  point: Point,
  parameter: ParameterSpec,
  loss: number,
  gradient: Float32Array,
  { random, directions, tolerance }: GradientCheckOptions,
): Promise<ParameterCheck> {
  const slopes = gradient.subarray(parameter.offset, parameter.offset + parameter.length)
  let worst: ParameterCheck | undefined
  const size = rootMeanSquare(slopes)
  for (let index = 0; index <= directions; index++) {
    if (index === 0 && size === 0) continue
    const direction = slopes.map((slope) => (index === 0 ? slope / size : random.normal()))
    const best = await bestDifference(point, parameter, direction, slopes, Math.abs(loss) * lossNoise)
    const check = judge(parameter, best, size * Math.sqrt(parameter.length), tolerance)
    if (worst === undefined || severity(check) > severity(worst)) worst = check
  }
  return worst!
}

function severity({ verdict, error }: ParameterCheck): number {
  return error + { right: 0, unclear: 1e6, wrong: 1e12 }[verdict]
}

/** Change of the loss for one unit of h along v. */
interface Difference {
  analytic: number
  numeric: number
  uncertainty: number
}

async function bestDifference(
  point: Point,
  { offset, length }: ParameterSpec,
  direction: Float32Array,
  slopes: Float32Array,
  noise: number,
): Promise<Difference> {
  const here = point.values.subarray(offset, offset + length)
  const start = here.slice()
  const size = Math.max(rootMeanSquare(start), sizeMin)
  let best: Difference = { analytic: 0, numeric: 0, uncertainty: Number.POSITIVE_INFINITY }
  const seen: number[] = []
  try {
    for (let halving = 0; halving <= halvings; halving++) {
      const step = firstStep * size * 2 ** -halving
      if (noise / step > best.uncertainty) break
      const sides: { values: Float32Array; loss: number }[] = []
      for (const sign of [1, -1]) {
        for (let i = 0; i < length; i++) here[i] = start[i]! + sign * step * direction[i]!
        sides.push({ values: here.slice(), loss: (await point.evaluate()).loss })
      }
      const [ahead, behind] = sides as [(typeof sides)[0], (typeof sides)[0]]
      const numeric = (ahead.loss - behind.loss) / (2 * step)
      const uncertainty = changeOf(numeric, seen) + noise / step
      seen.push(numeric)
      if (!(uncertainty < best.uncertainty)) continue
      let moved = 0
      for (let i = 0; i < length; i++) moved += slopes[i]! * (ahead.values[i]! - behind.values[i]!)
      best = { analytic: moved / (2 * step), numeric, uncertainty }
    }
  } finally {
    here.set(start)
  }
  return best
}

/** How far the two before it were from `numeric`. */
function changeOf(numeric: number, seen: readonly number[]): number {
  if (seen.length < 2) return Number.POSITIVE_INFINITY
  return Math.max(...seen.slice(-2).map((value) => Math.abs(numeric - value)))
}

function judge(
  { name, shape }: ParameterSpec,
  { analytic, numeric, uncertainty }: Difference,
  typical: number,
  tolerance: number,
): ParameterCheck {
  const scale = Math.max(Math.abs(analytic), Math.abs(numeric), typical)
  const difference = Math.abs(analytic - numeric)
  const share = (value: number) => (scale === 0 ? 0 : value / scale)
  const isRight = difference <= tolerance * scale + uncertaintiesAllowed * uncertainty
  const isClear = uncertaintiesAllowed * uncertainty < scale
  return {
    name,
    shape,
    analytic,
    numeric,
    error: share(difference),
    uncertainty: share(uncertainty),
    verdict: isRight ? (isClear ? 'right' : 'unclear') : 'wrong',
  }
}

function rootMeanSquare(values: Float32Array): number {
  let sum = 0
  for (const value of values) sum += value * value
  return Math.sqrt(sum / values.length)
}
