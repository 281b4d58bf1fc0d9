/**
 * The four models of the step benchmark, and how each is trained: plain SGD, so that a step is little more than its
 * gradient.
 */
import type { TrainingSpec } from '../../engine/program/training-program.ts'
import { gpt, perceptron, resnet, smallCnn } from './models.ts'

export const caseNames = ['mlp', 'cnn', 'gpt', 'resnet18'] as const
export type CaseName = (typeof caseNames)[number]

export interface Case {
  title: string
  batch: number
  /** The model file. */
  onnx(): Uint8Array
  /** Runs of a turn at most, to take the best of; the smaller the model, the more a moment's noise weighs. */
  repeatsMax: number
  /** Rounds unless others are asked for, where the usual number takes too long. */
  rounds?: number
  /** Whether a step takes a graphics device that is software minutes. */
  isLarge?: boolean
}

export const gptSizes = { layers: 4, width: 128, heads: 4, context: 128, vocabulary: 256 } as const
export const mlpWidths = [784, 512, 256, 10] as const

export const cases: Readonly<Record<CaseName, Case>> = {
  mlp: {
    title: 'MLP 784-512-256-10',
    batch: 128,
    onnx: () => perceptron(128, mlpWidths),
    repeatsMax: 20,
  },
  cnn: { title: 'CNN 32-64, 28×28', batch: 64, onnx: () => smallCnn(64), repeatsMax: 10 },
  gpt: { title: 'GPT 4 layers d128 T128', batch: 8, onnx: () => gpt(8, gptSizes), repeatsMax: 5 },
  resnet18: {
    title: 'ResNet-18, 32×32',
    batch: 32,
    onnx: () => resnet(32, { blocks: [2, 2, 2, 2], isBottleneck: false, side: 32, classes: 10 }),
    repeatsMax: 2,
    rounds: 3,
    isLarge: true,
  },
}

export function specOf({ batch }: Case): TrainingSpec {
  return {
    batch,
    loss: 'softmax_cross_entropy',
    optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
  }
}
