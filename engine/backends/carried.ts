/**
 * Where an onnxruntime build keeps the tensors that outlive a run. Two ways, after what the build can do:
 *
 *   filled    `run` writes into arrays it is given (native). A tensor that a run changes has two arrays; the run reads one
 *             and writes the other: no copy, no allocation.
 *   returned  `run` makes its own outputs, and each becomes the next run's input as it is. In WebAssembly it lies in main
 *             memory; under WebGPU on the device, where it must be disposed of, and read by a graph that copies it out.
 *
 * Runs and these calls must not overlap; session.ts holds the lock.
 */
import type { Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common'
import { assert } from '../../protocols/core/assert.ts'
import type { Tensor } from '../../protocols/core/tensor.ts'

export interface CarriedTensors {
  /** What a run reads. */
  get(name: string): OrtTensor
  /** Where a run shall write what becomes `name`; null: wherever it likes. */
  target(name: string): OrtTensor | null
  /** `result`, which a run made for `name`, is its value from now on. */
  advance(name: string, result: OrtTensor): void
  write(name: string, tensor: Tensor): void
  read(name: string, into: Float32Array): Promise<void>
  /** Forgets all tensors and gives their memory back. */
  clear(): void
}

/** Copies a tensor that lies on the device to main memory. */
export type ReadBack = (tensor: OrtTensor) => Promise<Float32Array>

/** Carried tensors of a build that writes where it is told. */
export function filledTensors(factory: TensorConstructor): CarriedTensors {
  const tensors = new Map<string, { now: OrtTensor; next: OrtTensor | null }>()
  const slot = (name: string) => held(tensors, name)
  return {
    get: (name) => slot(name).now,
    target: (name) => {
      const tensor = slot(name)
      tensor.next ??= new factory('float32', new Float32Array(tensor.now.size), tensor.now.dims)
      return tensor.next
    },
    advance: (name, result) => {
      const tensor = slot(name)
      tensor.next = tensor.now
      tensor.now = result
    },
    write: (name, tensor) => {
      const known = tensors.get(name)
      if (known === undefined) tensors.set(name, { now: toOrt(factory, copyOf(tensor)), next: null })
      else (known.now.data as Float32Array).set(tensor.data)
    },
    read: async (name, into) => into.set(slot(name).now.data as Float32Array),
    clear: () => tensors.clear(),
  }
}

/** Carried tensors of a build that makes its own outputs. `readBack`: for those that lie on a device. */
export function returnedTensors(factory: TensorConstructor, readBack: ReadBack): CarriedTensors {
  const tensors = new Map<string, OrtTensor>()
  const replace = (name: string, tensor: OrtTensor) => {
    tensors.get(name)?.dispose()
    tensors.set(name, tensor)
  }
  return {
    get: (name) => held(tensors, name),
    target: () => null,
    advance: replace,
    write: (name, tensor) => replace(name, toOrt(factory, copyOf(tensor))),
    read: async (name, into) => {
      const tensor = held(tensors, name)
      into.set(tensor.location === 'cpu' ? (tensor.data as Float32Array) : await readBack(tensor))
    },
    clear: () => {
      for (const tensor of tensors.values()) tensor.dispose()
      tensors.clear()
    },
  }
}

/** `tensor` as onnxruntime takes it; the array is shared. */
export function toOrt(factory: TensorConstructor, { dtype, data, shape }: Tensor): OrtTensor {
  return dtype === 'float32'
    ? new factory('float32', data as Float32Array, shape)
    : new factory('int32', data as Int32Array, shape)
}

function copyOf(tensor: Tensor): Tensor {
  return { ...tensor, data: tensor.data.slice() }
}

function held<Item>(tensors: ReadonlyMap<string, Item>, name: string): Item {
  const tensor = tensors.get(name)
  assert(tensor !== undefined, `'${name}' was neither fed nor written to the state`)
  return tensor
}
