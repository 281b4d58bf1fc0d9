/**
 * Where an onnxruntime build keeps the tensors that outlive a run. Three ways, after what the build can do:
 *
 *   filled    `run` writes into arrays it is given (native). A tensor that a run changes has two arrays; the run reads one
 *             and writes the other: no copy, no allocation.
 *   returned  `run` makes its own outputs in main memory (WebAssembly), and each becomes the next run's input as it is.
 *   device    as `returned`, on a device. A tensor there belongs to the session that made it: it must be disposed of, or
 *             moved to another session, before that one is released; later is an access to freed memory (onnxruntime 1.30).
 *
 * Runs and these calls must not overlap; runtime.ts holds the lock.
 */
import type { Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common'
import { assert } from '../../protocols/core/assert.ts'
import type { Tensor } from '../../protocols/core/tensor.ts'

/** What made a tensor. */
export type Maker = object

export interface CarriedTensors {
  /** What a run reads. */
  get(name: string): OrtTensor
  /** Where a run shall write what becomes `name`; null: wherever it likes. */
  target(name: string): OrtTensor | null
  /** `result`, which `maker` made for `name`, is its value from now on. */
  advance(name: string, result: OrtTensor, maker: Maker): void
  /** `result`, which a run made for a tensor, is not to be kept. */
  discard(result: OrtTensor): void
  write(name: string, tensor: Tensor): Promise<void>
  read(name: string, into: Float32Array): Promise<void>
  /** Before `maker` goes: keeps what it made. Never fails; what cannot be kept is gone. */
  outlive(maker: Maker): Promise<void>
  /** Forgets all tensors and gives their memory back. */
  clear(): void
}

/** Copies of tensors, by sessions that live as long as the state. */
export interface Device {
  /** A copy of `tensor`, of main memory or the device, on the device. */
  copyTo(tensor: OrtTensor): Promise<OrtTensor>
  /** A copy of `tensor`, of the device, in main memory. */
  copyFrom(tensor: OrtTensor): Promise<Float32Array>
}

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
    discard: () => undefined, // the next run writes over it
    write: async (name, tensor) => {
      const known = tensors.get(name)
      if (known === undefined) tensors.set(name, { now: toOrt(factory, copyOf(tensor)), next: null })
      else (known.now.data as Float32Array).set(tensor.data)
    },
    read: async (name, into) => into.set(slot(name).now.data as Float32Array),
    outlive: async () => undefined,
    clear: () => tensors.clear(),
  }
}

/** Carried tensors of a build that makes its own outputs in main memory. */
export function returnedTensors(factory: TensorConstructor): CarriedTensors {
  const tensors = new Map<string, OrtTensor>()
  return {
    get: (name) => held(tensors, name),
    target: () => null,
    advance: (name, result) => tensors.set(name, result),
    discard: () => undefined,
    write: async (name, tensor) => void tensors.set(name, toOrt(factory, copyOf(tensor))),
    read: async (name, into) => into.set(held(tensors, name).data as Float32Array),
    outlive: async () => undefined,
    clear: () => tensors.clear(),
  }
}

/** Carried tensors on a device. */
export function deviceTensors(factory: TensorConstructor, device: Device): CarriedTensors {
  /** `maker`: null for those that `device` made. */
  const tensors = new Map<string, { tensor: OrtTensor; maker: Maker | null }>()
  const replace = (name: string, tensor: OrtTensor, maker: Maker | null) => {
    tensors.get(name)?.tensor.dispose()
    tensors.set(name, { tensor, maker })
  }
  return {
    get: (name) => held(tensors, name).tensor,
    target: () => null,
    advance: replace,
    discard: (result) => result.dispose(),
    write: async (name, tensor) => replace(name, await device.copyTo(toOrt(factory, tensor)), null),
    read: async (name, into) => into.set(await device.copyFrom(held(tensors, name).tensor)),
    outlive: async (leaving) => {
      for (const [name, { tensor, maker }] of tensors) {
        if (maker !== leaving) continue
        const copy = await device.copyTo(tensor).catch(() => null)
        tensor.dispose()
        if (copy === null) tensors.delete(name)
        else tensors.set(name, { tensor: copy, maker: null })
      }
    },
    clear: () => {
      for (const { tensor } of tensors.values()) tensor.dispose()
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
