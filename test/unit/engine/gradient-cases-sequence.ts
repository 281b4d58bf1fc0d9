/** Rows for attention, rotary embedding and recurrent layers. */
import { flags, type GradientCase, ids, none, p, places, reading, row } from './gradient-case.ts'

const attention = [
  row('four heads', 'Attention', [p([2, 4, 3, 2]), p([2, 4, 5, 2]), p([2, 4, 5, 3])], {}, 23),
  row(
    'causal, grouped queries',
    'Attention',
    [p([2, 4, 3, 2]), p([2, 2, 3, 2]), p([2, 2, 3, 2])],
    { is_causal: 1 },
    23,
  ),
  row(
    'heads side by side, with a scale',
    'Attention',
    [p([2, 3, 8]), p([2, 4, 4]), p([2, 4, 6])],
    { q_num_heads: 4, kv_num_heads: 2, scale: 0.6 },
    23,
  ),
  row(
    'a learned bias and a soft cap',
    'Attention',
    [p([1, 2, 3, 4]), p([1, 2, 4, 4]), p([1, 2, 4, 4]), p([2, 3, 4])],
    { softcap: 1.5 },
    23,
  ),
  row(
    'a mask of truth values',
    'Attention',
    [p([1, 2, 2, 4]), p([1, 2, 3, 4]), p([1, 2, 3, 4]), flags([2, 3], 1, 0, 1, 1, 1, 0)],
    { boolean: 1 },
    23,
  ),
  row(
    'a query that sees no key',
    'Attention',
    [p([1, 2, 2, 4]), p([1, 2, 3, 4]), p([1, 2, 3, 4]), flags([2, 3], 0, 0, 0, 1, 1, 0)],
    { boolean: 1 },
    23,
  ),
  row(
    'a query that sees no key by both of its masks',
    'Attention',
    [p([1, 2, 2, 4]), p([1, 2, 2, 4]), p([1, 2, 2, 4]), flags([2, 2], 0, 1, 1, 1)],
    { boolean: 1, is_causal: 1 },
    23,
  ),
  row(
    'a past before it',
    'Attention',
    [p([1, 2, 2, 4]), p([1, 2, 2, 4]), p([1, 2, 2, 4]), none, p([1, 2, 3, 4]), p([1, 2, 3, 4])],
    { is_causal: 1 },
    23,
  ),
]

const rotary = [
  row('halves', 'RotaryEmbedding', [p([2, 2, 3, 4]), p([2, 3, 2]), p([2, 3, 2])], {}, 23),
  row(
    'neighbours, by position',
    'RotaryEmbedding',
    [p([2, 2, 3, 4]), p([5, 2]), p([5, 2]), places([2, 3], 0, 1, 4, 2, 3, 4)],
    { interleaved: 1 },
    23,
  ),
  row(
    'a part of flat heads',
    'RotaryEmbedding',
    [p([1, 3, 8]), p([1, 3, 1]), p([1, 3, 1])],
    { num_heads: 2, rotary_embedding_dim: 2 },
    23,
  ),
]

/** X, W, R and B of `gates` gates: 3 steps, batch 2, 3 features, hidden size 2. */
const cell = (gates: number, directions = 1) => [
  p([3, 2, 3], -1, 1),
  p([directions, 2 * gates, 3], -1, 1),
  p([directions, 2 * gates, 2], -1, 1),
  p([directions, 4 * gates], -1, 1),
]
const state = (directions = 1) => p([directions, 2, 2], -1, 1)
const hidden = { hidden_size: 2 }

const recurrent = [
  row('forward', 'RNN', cell(1), hidden),
  row('without bias, by relu', 'RNN', cell(1).slice(0, 3), { ...hidden, activations: ['Relu'] }),
  row('in reverse, from a state', 'RNN', [...cell(1), none, state()], { ...hidden, direction: 'reverse' }),
  row('forward', 'LSTM', cell(4), hidden),
  row(
    'both ways, from states, with equal lengths',
    'LSTM',
    [...cell(4, 2), ids([2], 3, 3), state(2), state(2)],
    { ...hidden, direction: 'bidirectional' },
  ),
  reading(3, 1, row('both ways, the last h', 'LSTM', cell(4, 2), { ...hidden, direction: 'bidirectional' })),
  reading(
    3,
    2,
    row('the last c, in reverse', 'LSTM', [...cell(4), none, state(), state()], {
      ...hidden,
      direction: 'reverse',
    }),
  ),
  row('with peepholes', 'LSTM', [...cell(4), none, none, none, p([1, 6], -1, 1)], hidden),
  row('forward', 'GRU', cell(3), hidden),
  row('from a state, the reset gate after the product', 'GRU', [...cell(3), none, state()], {
    ...hidden,
    linear_before_reset: 1,
  }),
  row('without bias, the reset gate after the product', 'GRU', cell(3).slice(0, 3), {
    ...hidden,
    linear_before_reset: 1,
  }),
  reading(
    2,
    1,
    row('both ways, the last h', 'GRU', cell(3, 2), {
      ...hidden,
      direction: 'bidirectional',
      linear_before_reset: 1,
    }),
  ),
  ...[0, 1, 2].map((read) =>
    reading(
      3,
      read,
      row(
        `batch first, output ${read}`,
        'LSTM',
        [p([2, 3, 3]), ...cell(4).slice(1), none, p([2, 1, 2]), p([2, 1, 2])],
        {
          ...hidden,
          layout: 1,
        },
      ),
    ),
  ),
  row('batch first, both ways', 'GRU', [p([2, 3, 3]), ...cell(3, 2).slice(1), none, p([2, 2, 2])], {
    ...hidden,
    direction: 'bidirectional',
    linear_before_reset: 1,
    layout: 1,
  }),
]

export const sequenceCases: readonly GradientCase[] = [...attention, ...rotary, ...recurrent]
