/**
 * What a trainer keeps between runs: parameters, the optimizer's slots, sums of gradients.
 *
 * The parameters have two homes, a flat array and the backend's state under their names; each knows whether it is up to
 * date, and is brought up to date when it is asked for. Slots and sums live in the backend's state alone, from their
 * first use on.
 */
import { assert } from '../../protocols/core/assert.ts'
import type { ParameterSpec, Tensor } from '../../protocols/core/tensor.ts'
import type { Backend, CarriedState, InferredType } from '../backends/backend.ts'

export class ModelState {
  readonly #backend: Pick<Backend, 'newState'>
  readonly #parameters: readonly ParameterSpec[]
  readonly #flat: Float32Array
  /** Of each parameter, into the flat array. */
  readonly #views: ReadonlyMap<string, Tensor<Float32Array>>
  #carried: CarriedState
  #isFlatCurrent = true
  #isCarriedCurrent = false
  /** Slots and sums that are there. */
  readonly #zeroed = new Set<string>()

  /** `initial`, f32[parameterCount], is copied. */
  constructor(
    backend: Pick<Backend, 'newState'>,
    parameters: readonly ParameterSpec[],
    initial: Float32Array,
  ) {
    this.#backend = backend
    this.#parameters = parameters
    this.#flat = initial.slice()
    this.#views = new Map(
      parameters.map(({ name, shape, offset, length }) => [
        name,
        { dtype: 'float32', shape, data: this.#flat.subarray(offset, offset + length) },
      ]),
    )
    this.#carried = backend.newState()
  }

  /** What graphs are compiled with. */
  get carried(): CarriedState {
    return this.#carried
  }

  /** Sets the parameters to a copy of `flat`, f32[parameterCount]. */
  load(flat: Float32Array): void {
    this.#flat.set(flat)
    this.#isFlatCurrent = true
    this.#isCarriedCurrent = false
  }

  /**
   * Copies the parameters to `into`, f32[parameterCount], which has some of them where this fails: then those that were
   * last loaded or read are still whole.
   * @throws {SwarmError} DEVICE_LOST; BACKEND_FAILED.
   */
  async read(into: Float32Array): Promise<void> {
    if (this.#isFlatCurrent) {
      into.set(this.#flat)
      return
    }
    await this.readEach([...this.#views.keys()], into)
    this.#flat.set(into)
    this.#isFlatCurrent = true
  }

  /** Brings the parameters to the backend, if newer ones were loaded. */
  async bring(): Promise<void> {
    if (this.#isCarriedCurrent) return
    for (const [name, view] of this.#views) await this.#carried.write(name, view)
    this.#isCarriedCurrent = true
  }

  /** A run has changed the carried parameters. */
  markStepped(): void {
    this.#isFlatCurrent = false
  }

  /** Makes the tensors `names` zero, those that are not there yet; `types` knows their shapes. */
  async zero(names: Iterable<string>, types: ReadonlyMap<string, InferredType>): Promise<void> {
    for (const name of names) {
      if (this.#zeroed.has(name)) continue
      const type = types.get(name)
      assert(type !== undefined, `no input '${name}'`)
      const length = type.shape.reduce((product, size) => product * size, 1)
      await this.#carried.write(name, { dtype: 'float32', shape: type.shape, data: new Float32Array(length) })
      this.#zeroed.add(name)
    }
  }

  /** Makes {@link zero} start these from zero again. */
  forget(names: Iterable<string>): void {
    for (const name of names) this.#zeroed.delete(name)
  }

  /** Copies the tensors `names`, one for each parameter in order, to `into`, f32[parameterCount]. */
  async readEach(names: readonly string[], into: Float32Array): Promise<void> {
    for (const [index, { offset, length }] of this.#parameters.entries()) {
      await this.#carried.read(names[index]!, into.subarray(offset, offset + length))
    }
  }

  /**
   * Begins anew with the parameters that were last loaded or read, in a new state of the backend; the old one is given
   * back.
   */
  async restart(): Promise<void> {
    await this.#carried.release()
    this.#carried = this.#backend.newState()
    this.#zeroed.clear()
    this.#isFlatCurrent = true
    this.#isCarriedCurrent = false
  }

  /** Gives the backend's memory back. */
  release(): Promise<void> {
    return this.#carried.release()
  }
}
