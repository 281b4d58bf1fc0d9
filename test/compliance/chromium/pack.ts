/** Values with typed arrays and maps as text, for the way between Node and a page, which carries text. */

const arrays = {
  Float32Array,
  Float64Array,
  Int8Array,
  Int32Array,
  BigInt64Array,
  Uint8Array,
  Uint16Array,
} as const

interface Packed {
  $array: keyof typeof arrays
  base64: string
}

/** `value` (of objects, lists, maps, texts, numbers and typed arrays) as text. */
export function pack(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (item instanceof Map) return { $map: [...item] }
    if (!ArrayBuffer.isView(item)) return item
    const bytes = new Uint8Array(item.buffer, item.byteOffset, item.byteLength)
    let binary = ''
    for (let i = 0; i < bytes.length; i += 0x8000) {
      binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
    }
    return { $array: item.constructor.name, base64: btoa(binary) }
  })
}

/** What {@link pack} packed; the caller knows its type. */
export function unpack<Value>(text: string): Value {
  return JSON.parse(text, (_, item: unknown) => {
    if (typeof item !== 'object' || item === null) return item
    if ('$map' in item) return new Map(item.$map as [string, unknown][])
    if (!('$array' in item)) return item
    const { $array, base64 } = item as Packed
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
    return new arrays[$array](bytes.buffer)
  }) as Value
}
