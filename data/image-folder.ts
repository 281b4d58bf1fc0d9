/**
 * A folder of images, one folder a class, as torchvision's `ImageFolder` has it. With folders `train` and `test`
 * (or `val`, `validation`) above the classes those are the splits; without, a seeded share of each class validates.
 *
 * Classes are numbered in the order of their names. Samples are RGB bytes `[3, height, width]`, all of one size: the
 * one that the files have, or the one that the job asks for. This reader knows no file system: whoever has the files
 * hands them over.
 */

import { SwarmError } from '../protocols/core/errors.ts'
import { seededRandom, seedFrom } from '../protocols/core/random.ts'
import {
  imageSplit,
  type Normal,
  type SingleInputDataSet,
  type SingleInputSplit,
  sampleLength,
} from './data-set.ts'
import { type FolderFile, trainName, validationNames } from './folder.ts'
import { isForeignImage, isImage, readImage } from './image-file.ts'
import { type Image, squared } from './square.ts'

export interface ImageFolderOptions {
  /** Share of each class that validates where the folder has no splits; above 0 and below 1. */
  validation: number
  /** Decides which. Any 32-bit integer. */
  seed: number
  /** Pixels of the square that each image is brought to, 1 or more; default: all have one size, and keep it. */
  size?: number
  /** What is done with each channel of a value in 0 … 1; default: nothing. */
  normal?: Normal
}

/** Labels are stored as bytes. */
const classesMax = 256

interface Sample extends FolderFile {
  label: string
}

/**
 * The data set of `files`; what is no image is passed over.
 * @throws {SwarmError} DATA_INVALID naming the image that cannot be read or has another size, or when a split has none.
 */
export function imageFolder(files: readonly FolderFile[], options: ImageFolderOptions): SingleInputDataSet {
  const foreign = files.find(({ path }) => isForeignImage(path))
  if (foreign !== undefined) throw foreignImage(foreign)
  const images = files.filter(({ path }) => isImage(path)).sort((a, b) => (a.path < b.path ? -1 : 1))
  const parts = images.map((file) => ({ file, folders: file.path.split('/').slice(0, -1) }))
  const hasSplits = parts.some(({ folders }) => folders.length > 1 && folders[0] === trainName)
  const inSplit = (names: readonly string[]): Sample[] =>
    parts.flatMap(({ file, folders: [split, label] }) =>
      split !== undefined && label !== undefined && names.includes(split) ? [{ ...file, label }] : [],
    )
  const { train, validation } = hasSplits
    ? { train: inSplit([trainName]), validation: inSplit(validationNames) }
    : divided(
        parts.flatMap(({ file, folders: [label] }) => (label === undefined ? [] : [{ ...file, label }])),
        options,
      )
  if (train.length === 0 || validation.length === 0) throw noImages(train.length === 0 ? 'train' : 'validate')
  const classes = [...new Set([...train, ...validation].map(({ label }) => label))].sort()
  if (classes.length > classesMax) {
    throw new SwarmError(
      'DATA_INVALID',
      `the folder has ${classes.length} classes, at most ${classesMax} fit`,
    )
  }
  const read = (sample: Sample): Image =>
    options.size === undefined ? readImage(sample) : squared(readImage(sample), options.size)
  const { shape } = read(train[0]!)
  const split = (samples: readonly Sample[]) => decoded(samples, read, classes, shape, options.normal)
  return { kind: 'images', classes: classes.length, train: split(train), validation: split(validation) }
}

/** Each class divided by itself, so that none is missing on one side by chance. */
function divided(
  samples: readonly Sample[],
  { validation, seed }: ImageFolderOptions,
): { train: Sample[]; validation: Sample[] } {
  const rank = (sample: Sample) => seededRandom(seedFrom('image folder', seed, sample.path)).next()
  const labels = [...new Set(samples.map(({ label }) => label))]
  const cut = labels.map((label) => {
    const own = samples.filter((sample) => sample.label === label)
    const ordered = own.map((sample) => ({ sample, place: rank(sample) })).sort((a, b) => a.place - b.place)
    const count = Math.max(1, Math.round(validation * own.length))
    return { held: ordered.slice(0, count), rest: ordered.slice(count) }
  })
  return {
    train: cut.flatMap(({ rest }) => rest.map(({ sample }) => sample)),
    validation: cut.flatMap(({ held }) => held.map(({ sample }) => sample)),
  }
}

function decoded(
  samples: readonly Sample[],
  read: (sample: Sample) => Image,
  classes: readonly string[],
  shape: readonly number[],
  normal: Normal | undefined,
): SingleInputSplit {
  const length = sampleLength({ sampleShape: shape })
  const pixels = new Uint8Array(samples.length * length)
  const numbers = new Map(classes.map((label, index) => [label, index]))
  for (const [index, sample] of samples.entries()) {
    const image = read(sample)
    if (`${image.shape}` !== `${shape}`) {
      throw new SwarmError(
        'DATA_INVALID',
        `${sample.path} has ${image.shape[2]} x ${image.shape[1]} pixels, the first image ${shape[2]} x ${shape[1]}`,
        {
          hint: 'Set data.size to the height and width that the model takes, as size: 64; or bring all images to one size.',
        },
      )
    }
    pixels.set(image.data, index * length)
  }
  const labels = Uint8Array.from(samples, ({ label }) => numbers.get(label)!)
  return imageSplit(pixels, labels, shape, normal)
}

/** Passed over, it would be missing from its class, and nobody would know. */
function foreignImage({ path }: FolderFile): SwarmError {
  return new SwarmError('DATA_INVALID', `${path} is an image of a format that is not read`, {
    hint: 'Save it as a JPEG or a PNG, or take it out of the folder.',
  })
}

function noImages(what: 'train' | 'validate'): SwarmError {
  return new SwarmError('DATA_INVALID', `the folder has no JPEGs or PNGs to ${what} with`, {
    hint: 'Put them as train/<class>/<name>.jpg and test/<class>/<name>.jpg, or as <class>/<name>.jpg.',
  })
}
