import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseJobFile, readJobFile } from '../../../node/job/job-file.ts'
import { nearest } from '../../../node/job/job-keys.ts'

const good = `name: digits
model: { file: cnn.onnx, loss: softmax_cross_entropy }
data: { kind: idx }
train:
  optimizer: sgd
  learning_rate: 0.1
  batch_size: 32
convergence: { metric: val_loss, mode: min, max_rounds: 10, max_minutes: 5 }
`

/** The problems of `good` after `change`, as `line:column message`. */
function problemsAfter(change: (text: string) => string): string[] {
  const changed = change(good)
  expect(changed).not.toBe(good)
  return parseJobFile(changed).problems.map(({ line, column, message }) => `${line}:${column} ${message}`)
}
const replaced = (from: string, to: string) => problemsAfter((text) => text.replace(from, to))

describe('a job file', () => {
  test('becomes a job, with defaults where it says nothing', () => {
    expect(parseJobFile(good)).toEqual({
      problems: [],
      spec: {
        name: 'digits',
        model: { file: 'cnn.onnx', loss: 'softmax_cross_entropy' },
        data: { kind: 'idx' },
        train: {
          optimizer: 'sgd',
          learningRate: 0.1,
          schedule: 'constant',
          warmupSteps: 0,
          minLearningRate: 0,
          batchSize: 32,
          localSteps: 1,
          seed: 1,
          momentum: 0,
          nesterov: false,
          weightDecay: 0,
        },
        swarm: { minPeers: 1, codec: 'int8' },
        convergence: {
          metric: 'val_loss',
          mode: 'min',
          patience: 10,
          minDelta: 0.001,
          evaluateEvery: 1,
          maxRounds: 10,
          maxMinutes: 5,
        },
      },
    })
  })

  test('need not say which side of its metric is better', () => {
    const modeOf = (convergence: string) => {
      const text = good.replace(
        /^convergence:.*$/m,
        `convergence: { ${convergence}, max_rounds: 10, max_minutes: 5 }`,
      )
      return parseJobFile(text).spec?.convergence.mode
    }
    expect([modeOf('metric: val_loss'), modeOf('metric: val_accuracy')]).toEqual(['min', 'max'])
  })

  test('with several problems gets all of them at once, in order, each with line and column', () => {
    const text = `name: no spaces allowed
model: { file: cnn.onnx, loss: crossentropy }
data:
  kind: glyphs
  trian: 5
  validation: 0
train:
  optimizer: adamw
  lr: 0.001
  weight_deca: 0.1
  batchSize: 3
  betas: [0.9, 1]
  codec: int8
swarm: { min_peers: 99 }
convergence: { metric: val_accuracy, mode: max, max_rounds: 1.5 }
`
    expect(parseJobFile(text).spec).toBeUndefined()
    expect(
      parseJobFile(text).problems.map(({ line, column, message }) => `${line}:${column} ${message}`),
    ).toEqual([
      '1:1 name must be 1 to 64 letters, digits, dots, dashes or underscores, not "no spaces allowed"',
      '2:26 model.loss must be softmax_cross_entropy, binary_cross_entropy, mse, l1 or in_model, not "crossentropy"',
      '5:3 data.trian is not a known key: write train',
      '6:3 data.validation must be at least 1, not 0',
      '9:3 train.lr is not a known key: write learning_rate',
      '10:3 train.weight_deca is not a known key: write weight_decay',
      '11:3 train.batchSize is not a known key: write batch_size',
      '12:16 train.betas.1 must be below 1, not 1',
      '13:3 train.codec is not a known key: codec belongs to section swarm',
      '14:10 swarm.min_peers must be at most 32, not 99',
      '15:1 convergence.max_minutes is missing',
      '15:49 convergence.max_rounds must be a whole number, not 1.5',
    ])
  })

  test('says where a key belongs that stands beside its section', () => {
    expect(replaced('{ kind: idx }', '{ kind: text, file: some.txt, context: 8 }')).toEqual([
      expect.stringMatching(/data\.file is not a known key: file belongs into source$/),
    ])
  })

  test('is checked for what two keys say together', () => {
    expect(replaced('  batch_size: 32', '  batch_size: 32\n  schedule: cosine')).toEqual([
      '8:3 train.schedule cosine needs a last step: set total_steps',
    ])
    const wsd = '  batch_size: 32\n  schedule: wsd\n  total_steps: 9'
    expect(replaced('  batch_size: 32', wsd)).toEqual([
      '8:3 train.schedule wsd needs the length of its decay: set decay_steps',
    ])
    expect(replaced('  batch_size: 32', `${wsd}\n  warmup_steps: 2\n  decay_steps: 8`)).toEqual([
      '11:3 train.decay_steps 8 is more than the 7 steps after the warm-up',
    ])
    expect(replaced('  batch_size: 32', '  batch_size: 32\n  decay_steps: 8')).toEqual([
      '8:3 train.decay_steps has no use with the schedule constant: remove it',
    ])
    expect(replaced('  batch_size: 32', '  batch_size: 32\n  nesterov: true')).toEqual([
      '8:3 train.nesterov has no use without a momentum',
    ])
    expect(replaced('optimizer: sgd', 'optimizer: muon')).toEqual([
      '5:3 train.optimizer muon cannot step on an average: set local_steps to 2 or more',
    ])
    expect(replaced('  batch_size: 32', '  batch_size: 32\n  warmup_steps: 9\n  total_steps: 9')).toEqual([
      '9:3 train.total_steps 9 leaves nothing after 9 warmup_steps',
    ])
    expect(replaced('  batch_size: 32', '  batch_size: 32\n  min_learning_rate: 0.2')).toEqual([
      '8:3 train.min_learning_rate 0.2 is above the learning_rate 0.1',
    ])
    expect(replaced('convergence', 'swarm: { outer: { kind: plain } }\nconvergence')).toEqual([
      '8:10 swarm.outer has no use with local_steps 1, where the optimizer itself steps on the average: remove it',
    ])
    expect(replaced('mode: min', 'mode: max')).toEqual([
      '8:34 convergence.mode must be min for val_loss, not max',
    ])
    expect(replaced('val_loss, mode: min', 'val_accuracy, mode: max, target: 97')).toEqual([
      '8:49 convergence.target 97 is not an accuracy: it lies above 0 and is at most 1',
    ])
  })

  test('must say where its data is and what hash a download has', () => {
    const withSource = (source: string) => replaced('kind: idx', `kind: text, context: 8, source: ${source}`)
    expect(withSource('{ file: a.txt }')).toEqual([])
    expect(withSource('{}')).toEqual([expect.stringContaining('data.source must name a file or a url')])
    expect(withSource('{ url: "https://a.b/c" }')).toEqual([
      expect.stringContaining('data.source must give the sha256 of what is at the url'),
    ])
    expect(withSource(`{ url: "ftp://a.b/c", sha256: ${'a0'.repeat(32)} }`)).toEqual([
      expect.stringContaining('data.source.url must be an http or https address, not "ftp://a.b/c"'),
    ])
  })

  test('is plain data: references, tags and broken YAML are named with their place', () => {
    expect(replaced('name: digits', 'name: &n digits\ndescription: *n')).toEqual([
      '2:1 description must be written out: a reference with * is not taken',
    ])
    expect(replaced('batch_size: 32', 'batch_size: !secret 32')).toEqual([
      '7:3 train.batch_size must be plain: the tag !secret is not taken',
    ])
    expect(replaced('name: digits', 'name: digits\nname: again')).toEqual(['2:1 Map keys must be unique'])
    expect(replaced('{ kind: idx }', '{ kind: idx')[0]).toMatch(/^\d+:\d+ /)
    expect(parseJobFile('').problems).toEqual([{ line: 1, column: 1, message: 'the job file is empty' }])
  })

  test('never breaks the reader, whatever is in it', () => {
    const words = [
      'train:',
      'a: ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      '&x ',
      '*x',
      '!!map ',
      '"',
      '\n',
      '  ',
      '? ',
      ': ',
      '|',
      '0x',
      '~',
    ]
    const text = fc.array(fc.oneof(fc.constantFrom(...words), fc.string())).map((parts) => parts.join(''))
    fc.assert(
      fc.property(text, (yaml) => {
        const { spec, problems } = parseJobFile(yaml)
        expect(spec === undefined).toBe(problems.length > 0)
      }),
    )
    expect(parseJobFile(`name: ${'['.repeat(20_000)}`).problems.length).toBeGreaterThan(0)
  })

  test('that cannot be read is said to be, with the path', async () => {
    await expect(readJobFile('/nowhere/job.yaml')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'the job file /nowhere/job.yaml cannot be read: there is no such file',
      hint: expect.stringContaining('examples/glyphs/job.yaml'),
    })
    await expect(readJobFile(tmpdir())).rejects.toMatchObject({
      message: expect.stringMatching(/cannot be read: it is a folder$/),
    })
    await expect(readJobFile('some/model.onnx')).rejects.toMatchObject({
      code: 'JOB_INVALID',
      message: 'some/model.onnx is a model, and a job file is wanted',
    })
  })

  test('that is no YAML is not told once for each of its words', () => {
    expect(
      parseJobFile('# Title\n\n```sh\nnpm start\n```\n\n- a: [b\n! c: d\n').problems.length,
    ).toBeLessThan(4)
  })

  test('names the label that is no class, also where the model itself says that it does not count', () => {
    const withLoss = (loss: string) => (text: string) =>
      text.replace('softmax_cross_entropy', `${loss}, ignore_index: -100`)
    expect(parseJobFile(withLoss('in_model')(good))).toMatchObject({
      problems: [],
      spec: { model: { loss: 'in_model', ignoreIndex: -100 } },
    })
    expect(problemsAfter(withLoss('mse'))).toEqual([
      '2:37 model.ignore_index has no use with the loss mse: it belongs to softmax_cross_entropy',
    ])
  })
})

test('a typing error is found up to two letters or a swap away, and not further', () => {
  const keys = ['learning_rate', 'local_steps', 'seed', 'betas']
  expect(nearest('learnign_rate', keys)).toBe('learning_rate')
  expect(nearest('learn_rate', keys)).toBeUndefined()
  expect(nearest('localsteps', keys)).toBe('local_steps')
  expect(nearest('sede', keys)).toBe('seed')
  expect(nearest('x', keys)).toBeUndefined()
})
