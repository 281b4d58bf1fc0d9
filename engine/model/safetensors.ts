/**
 * The weights of a model file as a checkpoint in the safetensors format (github.com/huggingface/safetensors, "Format"),
 * which PyTorch and its relatives load without running anything.
 *
 *     length of the header, u64 little-endian │ header, JSON padded with spaces to 8 bytes │ values
 *     { "__metadata__": {"format":"pt"}, "<name>": { "dtype": "F32", "shape": [..], "data_offsets": [begin, end] }, … }
 *
 * Tensors have the names of the file, which are those of a `state_dict` where the exporter kept them. Of integers only
 * those are taken that stand for real numbers, by a scale: the others are shapes and axes, not what was learnt.
 */

import type { Graph } from '../onnx/graph.ts'
import { readModel } from '../onnx/read.ts'
import { type ElementType, isReal } from '../onnx/types.ts'

const dtypes: Readonly<Partial<Record<ElementType, string>>> = {
  float32: 'F32',
  float64: 'F64',
  float16: 'F16',
  bfloat16: 'BF16',
  int8: 'I8',
  uint8: 'U8',
  int16: 'I16',
  uint16: 'U16',
  int32: 'I32',
}

/** Bytes to which the header is padded, so that values of any type may be mapped into memory. */
const alignment = 8

/**
 * The tensors of `model` (ONNX bytes, borrowed) that are real numbers, or stand for such, as a safetensors file, which
 * is the caller's.
 * @throws {SwarmError} as {@link readModel}.
 */
export function safetensorsOf(model: Uint8Array): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } }
  const pieces: Uint8Array[] = []
  let end = 0
  // the widest first, as the format's own writer has it: then each starts at a multiple of its width
  const { graph } = readModel(model)
  const scaled = scaledIn(graph)
  const tensors = [...graph.constants]
    .filter(([name, { dtype }]) => isReal(dtype) || scaled.has(name))
    .sort(
      ([a, { data: x }], [b, { data: y }]) => y.BYTES_PER_ELEMENT - x.BYTES_PER_ELEMENT || (a < b ? -1 : 1),
    )
  for (const [name, { dtype, shape, data }] of tensors) {
    const begin = end
    end += data.byteLength
    header[name] = { dtype: dtypes[dtype], shape, data_offsets: [begin, end] }
    pieces.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const start = alignment + Math.ceil(text.length / alignment) * alignment
  const file = new Uint8Array(start + end).fill(0x20, alignment + text.length, start)
  new DataView(file.buffer).setBigUint64(0, BigInt(start - alignment), true)
  file.set(text, alignment)
  let at = start
  for (const piece of pieces) {
    file.set(piece, at)
    at += piece.length
  }
  return file
}

/** Names of what `nodes` bring from integers to real numbers, and of the integers that stand for 0. */
function scaledIn({ nodes }: Graph): ReadonlySet<string | undefined> {
  const readers = nodes.filter(({ opType }) => opType === 'DequantizeLinear')
  return new Set(readers.flatMap(({ inputs: [stored, , zero] }) => [stored, zero]))
}
