/** Reads zip files whose members are stored as they are, as archives of JPEGs are; it inflates nothing. */

/** PKWARE's APPNOTE.TXT 4.3: the records that matter here, by their signatures. */
const [endSignature, entrySignature] = [0x06054b50, 0x02014b50]

/**
 * Every file of the archive `bytes`, in its order; the contents are views.
 * @throws when it is no zip file, or a member is compressed.
 */
export function storedFiles(bytes: Uint8Array): { path: string; bytes: Uint8Array }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let end = bytes.length - 22 // the end record, when no comment follows it
  while (end >= 0 && view.getUint32(end, true) !== endSignature) end--
  if (end < 0) throw new Error('no zip file: it has no end record')
  let at = view.getUint32(end + 16, true)
  return Array.from({ length: view.getUint16(end + 10, true) }, () => {
    if (view.getUint32(at, true) !== entrySignature) throw new Error(`no entry at byte ${at}`)
    const lengths = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [number, number, number]
    const path = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + lengths[0]))
    if (view.getUint16(at + 10, true) !== 0) throw new Error(`${path} is compressed`)
    const local = view.getUint32(at + 42, true)
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true)
    const size = view.getUint32(at + 24, true)
    at += 46 + lengths[0] + lengths[1] + lengths[2]
    return { path, bytes: bytes.subarray(start, start + size) }
  }).filter(({ path }) => !path.endsWith('/'))
}
