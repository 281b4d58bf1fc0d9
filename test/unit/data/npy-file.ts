/** Files as `numpy.save` writes them. */

/** `values` under a header of `type` and `shape`; version 1.0, padded to 64 bytes. */
export function npyFile(
  type: string,
  shape: readonly number[],
  values: Uint8Array | Int32Array | Float32Array | BigInt64Array | Uint16Array,
  { order = 'False' }: { order?: 'True' | 'False' } = {},
): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const text = `{'descr': '${type}', 'fortran_order': ${order}, 'shape': (${sizes}), }`
  const padded = `${text.padEnd(64 * Math.ceil((text.length + 11) / 64) - 11)}\n`
  const length = [padded.length & 0xff, padded.length >> 8]
  const start = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, ...length)
  const content = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return new Uint8Array(Buffer.concat([start, Buffer.from(padded, 'latin1'), content]))
}
