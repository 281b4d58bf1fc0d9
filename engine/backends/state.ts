/**
 * Tensors that outlive runs, on any onnxruntime build: what graphs carry from one step to the next. How each kind of
 * build keeps them is carried.ts's; here is who may touch them when, and the copies to and from a device.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import type { Tensor } from '../../protocols/core/tensor.ts'
import type { CarriedState } from './backend.ts'
import { type CarriedTensors, deviceTensors, filledTensors, returnedTensors } from './carried.ts'
import { identityModel } from './identity-model.ts'
import type { Build } from './runtime.ts'

/** The state of backends over `build`. */
export class OrtState implements CarriedState {
  readonly tensors: CarriedTensors
  readonly #build: Build
  /** Sessions of a state on a device, for its copies: one leaves its result there, one in main memory. */
  readonly #copiers = new Map<'gpu-buffer' | 'cpu', InferenceSession>()

  constructor(build: Build) {
    this.#build = build
    const { Tensor } = build.runtime
    switch (build.traits.outputs) {
      case 'filled':
        this.tensors = filledTensors(Tensor)
        break
      case 'returned':
        this.tensors = returnedTensors(Tensor)
        break
      case 'device':
        this.tensors = deviceTensors(Tensor, {
          copyTo: (tensor) => this.#copy(tensor, 'gpu-buffer'),
          // not `getData`, which ends a Node process for a tensor on the device (onnxruntime 1.30)
          copyFrom: async (tensor) => (await this.#copy(tensor, 'cpu')).data as Float32Array,
        })
    }
  }

  write(name: string, tensor: Tensor): Promise<void> {
    return this.#build.call('writing the state', () => this.tensors.write(name, tensor))
  }

  read(name: string, into: Float32Array): Promise<void> {
    return this.#build.call('reading the state', () => this.tensors.read(name, into))
  }

  async release(): Promise<void> {
    await this.#build.exclusively(async () => this.tensors.clear())
    const copiers = [...this.#copiers.values()]
    this.#copiers.clear()
    for (const copier of copiers) await this.#build.close(copier)
  }

  async #copy(tensor: OrtTensor, to: 'gpu-buffer' | 'cpu'): Promise<OrtTensor> {
    let copier = this.#copiers.get(to)
    if (copier === undefined) {
      const { sessionOptions } = this.#build.traits
      copier = await this.#build.create(identityModel, { ...sessionOptions, preferredOutputLocation: to })
      this.#copiers.set(to, copier)
    }
    const { y } = await copier.run({ x: tensor })
    return y!
  }
}
