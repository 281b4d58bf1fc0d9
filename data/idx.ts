/**
 * IDX files, the format of MNIST (LeCun, Cortes, Burges: "The MNIST database of handwritten digits", section "file
 * formats").
 *
 *     00 00 | dtype u8 (08 = u8) | rank u8 | size u32 big-endian × rank | values, row-major
 *
 * Only u8 is read: that is what images and labels come in. Gzipped files are unpacked on the way.
 */

import { SwarmError } from '../protocols/core/errors.ts'
import { jobBytesMax } from '../protocols/core/limits.ts'
import { imageSplit, type SingleInputDataSet, type SingleInputSplit } from './data-set.ts'
import { gunzip, isGzip } from './gzip.ts'

/** The array of one IDX file. */
export interface IdxArray {
  shape: number[]
  data: Uint8Array
}

/** The four files of a data set in MNIST's form, each gzipped or not. */
export interface IdxFiles {
  trainImages: Uint8Array
  trainLabels: Uint8Array
  testImages: Uint8Array
  testLabels: Uint8Array
}

/** Images of at most four dimensions, so that a header cannot ask for a long list of sizes. */
const rankMax = 4

/**
 * Reads one IDX file, gzipped or not. `data` shares memory with `bytes` when they were not gzipped.
 * @throws {SwarmError} DATA_INVALID when it is not IDX of u8 or its length is not what its header says.
 */
export async function readIdx(bytes: Uint8Array): Promise<IdxArray> {
  const plain = isGzip(bytes) ? await gunzip(bytes, jobBytesMax) : bytes
  const rank = plain[3] ?? 0
  const headerBytes = 4 + 4 * rank
  if (plain[0] !== 0 || plain[1] !== 0 || rank < 1 || rank > rankMax || plain.length < headerBytes) {
    throw new SwarmError('DATA_INVALID', 'this is not an IDX file: its header does not fit', {
      hint: 'Images and labels are expected in the form of MNIST, such as train-images-idx3-ubyte.gz.',
    })
  }
  if (plain[2] !== 8) {
    throw new SwarmError('DATA_INVALID', `the IDX file holds values of type ${plain[2]}, only 8 (u8) is read`)
  }
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength)
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis))
  const length = shape.reduce((product, size) => product * size, 1)
  if (plain.length - headerBytes !== length) {
    throw new SwarmError(
      'DATA_INVALID',
      `the IDX file says [${shape}], which is ${length} values, but holds ${plain.length - headerBytes}`,
      { hint: 'The file is cut off or damaged: download it again.' },
    )
  }
  return { shape, data: plain.subarray(headerBytes) }
}

/**
 * A data set of images from four IDX files; the test files become the validation split. Images may have any shape, the
 * same in both splits; the number of classes is the largest label plus one.
 * @throws {SwarmError} DATA_INVALID naming the files that do not fit together.
 */
export async function idxDataSet(files: IdxFiles): Promise<SingleInputDataSet> {
  const [trainImages, trainLabels, testImages, testLabels] = await Promise.all([
    named('train images', files.trainImages),
    named('train labels', files.trainLabels),
    named('test images', files.testImages),
    named('test labels', files.testLabels),
  ])
  const train = pair('train', trainImages, trainLabels)
  const validation = pair('test', testImages, testLabels)
  if (String(train.fields.x.sampleShape) !== String(validation.fields.x.sampleShape)) {
    throw new SwarmError(
      'DATA_INVALID',
      `train images are [${train.fields.x.sampleShape}], test images [${validation.fields.x.sampleShape}]`,
    )
  }
  const classes = 1 + Math.max(largest(trainLabels.data), largest(testLabels.data))
  return { kind: 'images', classes, train, validation }
}

async function named(name: string, bytes: Uint8Array): Promise<IdxArray> {
  try {
    return await readIdx(bytes)
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    throw new SwarmError(error.code, `${name}: ${error.message}`, { hint: error.hint, cause: error })
  }
}

function pair(name: string, images: IdxArray, labels: IdxArray): SingleInputSplit {
  const [count = 0, ...sampleShape] = images.shape
  if (sampleShape.length === 0 || labels.shape.length !== 1) {
    throw new SwarmError(
      'DATA_INVALID',
      `${name}: images of shape [${images.shape}] and labels of shape [${labels.shape}]`,
      { hint: 'Images have at least two dimensions and labels one: are the two files swapped?' },
    )
  }
  if (count === 0 || images.data.length === 0 || labels.shape[0] !== count) {
    throw new SwarmError('DATA_INVALID', `${name}: ${count} images and ${labels.shape[0]} labels`)
  }
  return imageSplit(images.data, labels.data, sampleShape)
}

function largest(values: Uint8Array): number {
  return values.reduce((max, value) => Math.max(max, value), 0)
}
