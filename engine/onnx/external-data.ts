/**
 * Weights that an ONNX file keeps in other files, brought into it: a job's model is one file, named by one hash.
 *
 * Each external tensor says where its bytes are (`location`, and perhaps `offset` and `length`; ONNX, ExternalData.md).
 * What they are read with is the caller's, who also decides which locations it allows; what is read is checked against
 * the tensor's shape before anything is asked for.
 */
import { toBinary } from '@bufbuild/protobuf'
import { SwarmError } from '../../protocols/core/errors.ts'
import { parametersMax, tensorRankMax } from '../../protocols/core/limits.ts'
import {
  TensorProto_DataLocation as DataLocation,
  ModelProtoSchema,
  type TensorProto,
} from './generated/onnx_pb.ts'
import { decodeModel } from './read.ts'
import { elementTypeOf, elementTypes, sizeOf } from './types.ts'

/** Bytes of one location, from `offset` on; exactly `length` of them. They become the file's. */
export type ReadExternal = (
  location: string,
  range: { offset: number; length: number },
) => Promise<Uint8Array>

/**
 * `model` (ONNX bytes, borrowed) with all of its tensors inside; `model` itself when they are already.
 * @throws {SwarmError} MODEL_INVALID for a bad file, a range that is none, or bytes that are too few; what `read`
 * throws.
 */
export async function embedExternalData(model: Uint8Array, read: ReadExternal): Promise<Uint8Array> {
  const file = decodeModel(model)
  const external = file.graph!.initializer.filter(isExternal)
  if (external.length === 0) return model
  for (const tensor of external) {
    const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]))
    const location = entries.get('location')
    if (location === undefined || location === '') throw invalid(tensor, 'names no file')
    const length = bytesOf(tensor)
    const given = wholeNumber(entries.get('length'), length)
    const offset = wholeNumber(entries.get('offset'), 0)
    if (given !== length || offset === null)
      throw invalid(
        tensor,
        `has the range ${entries.get('offset')}, ${entries.get('length')}, for ${length} bytes`,
      )
    const bytes = await read(location, { offset, length })
    if (bytes.length !== length)
      throw invalid(tensor, `has ${bytes.length} bytes in ${location}, not ${length}`)
    tensor.rawData = bytes
    tensor.externalData = []
    tensor.dataLocation = DataLocation.DEFAULT
  }
  return toBinary(ModelProtoSchema, file)
}

function isExternal({ dataLocation }: TensorProto): boolean {
  return dataLocation === DataLocation.EXTERNAL
}

function bytesOf(tensor: TensorProto): number {
  const dtype = elementTypeOf(tensor.dataType)
  const shape = tensor.dims.map(Number)
  const length = sizeOf(shape)
  if (dtype === null) throw invalid(tensor, `has element type ${tensor.dataType}`)
  if (shape.length > tensorRankMax || shape.some((size) => size < 0) || length > parametersMax)
    throw invalid(tensor, `has the shape [${shape}]`)
  return length * elementTypes[dtype].array.BYTES_PER_ELEMENT
}

/** The number in `text`, `otherwise` when there is none, null for anything else. */
function wholeNumber(text: string | undefined, otherwise: number): number | null {
  if (text === undefined) return otherwise
  const value = Number(text)
  return /^\d+$/.test(text) && Number.isSafeInteger(value) ? value : null
}

function invalid({ name }: TensorProto, problem: string): SwarmError {
  return new SwarmError('MODEL_INVALID', `the external tensor '${name}' ${problem}`, {
    hint: 'Copy the model with all of its data files, or export with torch.onnx.export(..., external_data=False).',
  })
}
