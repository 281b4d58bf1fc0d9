/**
 * What a job file may say: the sections of the manifest, and where model and data are found. Checked values only; how
 * they are written (YAML, snake_case, lines and columns) is job-file.ts's business.
 */

import * as z from 'zod'
import { fieldName } from '../../data/data-index.ts'
import { blockBytesMax, dataFieldsMax } from '../../protocols/core/limits.ts'
import {
  type ConvergenceSpec,
  convergenceSchema,
  descriptionSchema,
  integer,
  jobNameSchema,
  modelShape,
  swarmSchema,
  trainSchema,
} from '../../protocols/jobs/spec.ts'

/** Samples of a generated split: a million glyphs are 784 MB, and take a minute to draw. */
const glyphsMax = 1_000_000

const sourceSchema = z
  .strictObject({
    /** A path, from the job file's folder. */
    file: z.string().min(1).optional(),
    /** Where it is downloaded from when there is no such file. */
    url: z.url({ protocol: /^https?$/, error: 'must be an http or https address' }).optional(),
    /** Of the downloaded file, in hex; needed with `url`. */
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in 64 lowercase hex digits')
      .optional(),
  })
  .refine(({ file, url }) => file !== undefined || url !== undefined, 'must name a file or a url')
  .refine(
    ({ url, sha256 }) => url === undefined || sha256 !== undefined,
    'must give the sha256 of what is at the url',
  )

/** Section `data`. */
const dataSpecSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('glyphs'),
    seed: integer(0, 2 ** 32 - 1).default(1),
    train: integer(1, glyphsMax).default(12_000),
    validation: integer(1, glyphsMax).default(2_000),
  }),
  z.strictObject({
    kind: z.literal('idx'),
    sources: z
      .strictObject({
        trainImages: sourceSchema,
        trainLabels: sourceSchema,
        testImages: sourceSchema,
        testLabels: sourceSchema,
      })
      .optional(),
  }),
  z.strictObject({
    kind: z.literal('image_folder'),
    /** A path, from the job file's folder: images in one folder for each class. */
    folder: z.string().min(1).optional(),
    /** Share that validates where the folder has no splits of its own. */
    validation: z.number().gt(0).lt(1).default(0.1),
    /** Decides which samples validate. */
    seed: integer(0, 2 ** 32 - 1).default(1),
    /** Pixels of the square that each image is brought to; a sample has to fit a block. */
    size: integer(1, Math.floor(Math.sqrt(blockBytesMax / 3))).optional(),
    /** Of each channel, of values in 0 to 1. */
    mean: z.array(z.number()).length(3).optional(),
    std: z.array(z.number().gt(0)).length(3).optional(),
  }),
  z.strictObject({
    kind: z.literal('npy'),
    /** A path, from the job file's folder: an array for each input, and `y.npy` with the labels. */
    folder: z.string().min(1).optional(),
    /** Arrays of bytes that are pixels: 0 to 255 become 0 to 1. */
    pixels: z.array(fieldName()).min(1).max(dataFieldsMax).optional(),
    /** Share that validates where the folder has no splits of its own. */
    validation: z.number().gt(0).lt(1).default(0.1),
    /** Decides which samples validate. */
    seed: integer(0, 2 ** 32 - 1).default(1),
  }),
  z.strictObject({
    kind: z.literal('text'),
    source: sourceSchema.optional(),
    /** Tokens of one sample. */
    context: integer(1, 1 << 16),
    /** Share of the text that trains. */
    split: z.number().gt(0).lt(1).default(0.9),
  }),
])

/** A metric has one better side, which a job file need not say; a manifest says it. */
const convergenceOfFile = convergenceSchema.extend({ mode: convergenceSchema.shape.mode.optional() })

/** `convergence` of a job file, with the better side of its metric. */
export function completed({ mode, ...rest }: z.infer<typeof convergenceOfFile>): ConvergenceSpec {
  return { ...rest, mode: mode ?? (rest.metric === 'val_accuracy' ? 'max' : 'min') }
}

/** A whole job file. */
export const jobSpecSchema = z.strictObject({
  name: jobNameSchema,
  description: descriptionSchema.optional(),
  model: z.strictObject({
    /** A path, from the job file's folder. */
    file: z.string().min(1),
    ...modelShape,
  }),
  data: dataSpecSchema,
  train: trainSchema,
  swarm: swarmSchema.prefault({}),
  convergence: convergenceOfFile,
})

export type Source = z.infer<typeof sourceSchema>
export type DataSpec = z.infer<typeof dataSpecSchema>
/** A job file as it was read, {@link completed}. */
export type JobSpec = Omit<z.infer<typeof jobSpecSchema>, 'convergence'> & { convergence: ConvergenceSpec }
