/**
 * What an owner decides about a job, and the limits on every number of it: one schema for the job file and the
 * manifest.
 *
 * The keys are camelCase here and on the wire; the job file writes the same keys in snake_case (node/job/job-file.ts).
 * A schema refuses unknown keys and fills in the defaults that stand beside it. Rules that join two sections are in
 * {@link crossChecks}, so that whoever reports problems can name the place. Where the model and the data come from is
 * not decided here: a job file names files, a manifest names CIDs.
 */

import { CID } from 'multiformats/cid'
import * as z from 'zod'
import { isBlockCid } from '../core/block-cid.ts'
import { localStepsMax, rowPeersMax } from '../core/limits.ts'
import { codecNames } from '../wire/codecs/codec.ts'
import { keptMax as topkKeptMax } from '../wire/codecs/topk.ts'

/** An integer from `min` to `max`, both allowed. */
export const integer = (min: number, max: number) => z.int().min(min).max(max)
const number = (min: number, max: number) => z.number().min(min).max(max)
/** A number from 0 up to, but not including, 1: a momentum or a decay rate, where 1 would never forget. */
const decayRate = () => z.number().min(0).lt(1)

/** A CID as text, in its one canonical form. */
export const cidSchema = z
  .string()
  .refine(isCid, 'must be a CID of version 1 with sha2-256, of a raw or dag-cbor block')

/** A peer id as text: an Ed25519 key gives 52 base58 characters, an RSA key 46. */
export const peerIdSchema = z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{40,64}$/, 'must be a peer id')

/** Names go into file names, topics and terminals: letters, digits, dot, dash and underscore, at most 64. */
export const jobNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores')

/** One paragraph for the donor; 500 characters keep a manifest far below the gossip limit. */
export const descriptionSchema = z.string().max(500)

/** A name inside a model file, or a pattern of such: what exporters write is shorter, and printable ASCII. */
const tensorName = () => z.string().regex(/^[ -~]{1,96}$/, 'must be 1 to 96 printable ASCII characters')

/** Named inputs or dimensions of one model: an encoder and a decoder, each with ids, mask and positions. */
const namedMax = 6

const namedRecord = <Value extends z.core.$ZodType>(value: Value) =>
  z
    .record(tensorName(), value)
    .refine((record) => Object.keys(record).length <= namedMax, `must have at most ${namedMax} names`)

/** Section `model`, besides the file: how it is fed and judged. */
export const modelShape = {
  /**
   * How the output is compared with the labels, which the engine adds to the graph; `in_model`: the output is the loss.
   */
  loss: z.enum(['softmax_cross_entropy', 'binary_cross_entropy', 'mse', 'l1', 'in_model']),
  /**
   * softmax_cross_entropy: the label of predictions that do not count, as PyTorch's -100. in_model: a label that the
   * data may hold and that is no class; what becomes of it the model says.
   */
  ignoreIndex: integer(-(2 ** 31), 2 ** 31 - 1).optional(),
  /** softmax_cross_entropy: the share of a label that is spread over all classes. */
  labelSmoothing: decayRate().optional(),
  /** softmax_cross_entropy: the output's axis of classes; the last one by default. */
  classAxis: integer(-8, 7).optional(),
  /** The output that the loss takes; absent: the only one. */
  output: tensorName().optional(),
  /** in_model: the input that takes the labels; absent: the one named `labels`. */
  labels: tensorName().optional(),
  /** The field of the data that each input takes. */
  inputs: namedRecord(tensorName()).optional(),
  /** Sizes of open dimensions besides the batch, as of a sequence. */
  dimensions: namedRecord(integer(1, 1 << 20)).optional(),
} as const

/** Section `model`, whatever else its owner adds to it: a path or a CID. */
export const modelSchema = z.object(modelShape)

const trainBase = {
  /** Step size at the schedule's peak. */
  learningRate: z.number().gt(0).max(100),
  /** How the learning rate goes on after the warm-up. */
  schedule: z.enum(['constant', 'linear', 'cosine', 'wsd']).default('constant'),
  /** Steps over which the learning rate rises from 0. */
  warmupSteps: integer(0, 1e9).default(0),
  /** Where every schedule but the constant one ends. */
  minLearningRate: number(0, 100).default(0),
  /** Step at which the schedule has reached `minLearningRate`. */
  totalSteps: integer(1, 1e9).optional(),
  /** Steps of wsd's decay, the last before `totalSteps`. */
  decaySteps: integer(1, 1e9).optional(),
  /** Samples of one step on one peer. */
  batchSize: integer(1, 4096),
  /**
   * Steps of a peer in one round; 1 is plain synchronous gradient averaging, `auto` follows the time that averages
   * take.
   */
  localSteps: z.union([integer(1, localStepsMax), z.literal('auto')]).default(1),
  /** Global norm to which a gradient is clipped; absent: not clipped. */
  gradClip: z.number().gt(0).max(1e6).optional(),
  /**
   * What passes compute in: `auto` is float16 on devices that do, float32 on others; absent: float32. What is averaged
   * is float32.
   */
  precision: z.enum(['float32', 'float16', 'auto']).optional(),
  /** Tensors that are not trained: patterns of their names, where `*` stands for any characters. */
  freeze: z.array(tensorName()).min(1).max(12).optional(),
  /** Decides the order of the samples. */
  seed: integer(0, 2 ** 32 - 1).default(1),
}

const sgdSchema = z.strictObject({
  optimizer: z.literal('sgd'),
  ...trainBase,
  momentum: decayRate().default(0),
  nesterov: z.boolean().default(false),
  weightDecay: number(0, 10).default(0),
})

/** Defaults are PyTorch's `torch.optim.AdamW`. */
const adamwSchema = z.strictObject({
  optimizer: z.literal('adamw'),
  ...trainBase,
  betas: z.tuple([decayRate(), decayRate()]).default([0.9, 0.999]),
  epsilon: z.number().gt(0).max(1).default(1e-8),
  weightDecay: number(0, 10).default(0.01),
})

/** All else is the paper's (Shazeer & Stern 2018), as in `torch.optim.Adafactor`. */
const adafactorSchema = z.strictObject({
  optimizer: z.literal('adafactor'),
  ...trainBase,
  weightDecay: number(0, 10).default(0),
})

/** Defaults are the paper's (Chen et al. 2023, section 4.1). */
const lionSchema = z.strictObject({
  optimizer: z.literal('lion'),
  ...trainBase,
  betas: z.tuple([decayRate(), decayRate()]).default([0.9, 0.99]),
  weightDecay: number(0, 10).default(0),
})

/** Defaults are `torch.optim.Muon`'s, and `torch.optim.AdamW`'s for what is no matrix. */
const muonSchema = z.strictObject({
  optimizer: z.literal('muon'),
  ...trainBase,
  momentum: decayRate().default(0.95),
  betas: z.tuple([decayRate(), decayRate()]).default([0.9, 0.999]),
  epsilon: z.number().gt(0).max(1).default(1e-8),
  weightDecay: number(0, 10).default(0.1),
})

/** Section `train`. */
export const trainSchema = z.discriminatedUnion('optimizer', [
  sgdSchema,
  adamwSchema,
  adafactorSchema,
  lionSchema,
  muonSchema,
])

/** The outer optimizer steps on the averaged update of several local steps. */
const outerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('nesterov'),
    // DiLoCo has 0.7, and 0.9 from the first round on (Douillard et al. 2023, section 3); why not: docs/decisions/0014
    learningRate: z.number().gt(0).max(10).default(1),
    /** What it rises to: round n, from 1, has (n - 1)/(n + 2) at most. */
    momentum: decayRate().default(0.9),
  }),
  z.strictObject({
    kind: z.literal('plain'),
    learningRate: z.number().gt(0).max(10).default(1),
  }),
])

/** Fewest values of a chunk that `topk` keeps: 0.4 %; published runs go down to that with error feedback, not below. */
const topkKeptMin = 16

/** Section `swarm`. */
export const swarmSchema = z.strictObject({
  /** Peers that must be there before round 0 starts. */
  minPeers: integer(1, rowPeersMax).default(1),
  /** How an update is coded on the wire. */
  codec: z.enum(codecNames).default('int8'),
  /**
   * A coarser codec for the updates of peers whose averages take longer than their training; absent: all use `codec`.
   */
  slowCodec: z.enum(['f16', 'int8', 'int4']).optional(),
  /** Of codec `topk`: values that a peer sends of each 4,096. Absent: 64. */
  topkKept: integer(topkKeptMin, topkKeptMax).optional(),
  /** Peers go on training while the parts of a round travel, and apply its mean when it is there. */
  overlap: z.boolean().optional(),
  /** Present exactly when there is more than one local step. */
  outer: outerSchema.optional(),
})

/** Section `convergence`. */
export const convergenceSchema = z.strictObject({
  /** What is measured on the validation split. */
  metric: z.enum(['val_accuracy', 'val_loss']),
  /** The run has converged when the metric is this good; absent: only the other rules end it. */
  target: z.number().optional(),
  /** Whether larger or smaller is better. */
  mode: z.enum(['min', 'max']),
  /** Evaluations without an improvement of `minDelta` after which the run has plateaued. */
  patience: integer(1, 1e6).default(10),
  minDelta: number(0, 1e6).default(0.001),
  /** Rounds between two evaluations. */
  evaluateEvery: integer(1, 10_000).default(1),
  maxRounds: integer(1, 1e6),
  /** 30 days at most: nobody should give a browser tab to a job without an end. */
  maxMinutes: z.number().gt(0).max(43_200),
})

export type TrainSpec = z.infer<typeof trainSchema>
export type OuterSpec = z.infer<typeof outerSchema>
export type SwarmSpec = z.infer<typeof swarmSchema>
export type ConvergenceSpec = z.infer<typeof convergenceSchema>

/** The sections that a job file and a manifest share. */
export interface TrainingPlan {
  model: z.infer<typeof modelSchema>
  train: TrainSpec
  swarm: SwarmSpec
  convergence: ConvergenceSpec
}

/**
 * The outer optimizer of a job with several local steps that names none: Nesterov's for dense updates
 * (docs/decisions/0014), the plain mean for sparse ones (SparseLoCo).
 */
export function outerDefault(swarm: Pick<SwarmSpec, 'codec'>): OuterSpec {
  return swarm.codec === 'topk'
    ? { kind: 'plain', learningRate: 1 }
    : { kind: 'nesterov', learningRate: 1, momentum: 0.9 }
}

function isCid(text: string): boolean {
  try {
    const cid = CID.parse(text)
    return isBlockCid(cid) && cid.toString() === text
  } catch {
    return false
  }
}
