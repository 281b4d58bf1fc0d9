/** The log of a long-running process, for people and for programs. */

import { expect, test } from 'vitest'
import { type LogLine, processLog } from '../../../node/cli/process-log.ts'

function written(line: LogLine, json: boolean): string {
  const chunks: string[] = []
  processLog({ stdout: { write: (chunk: string) => void chunks.push(chunk) } }, { json })(line)
  return chunks.join('')
}

const ready = {
  event: 'ready',
  peer: '12D3KooW',
  addresses: ['/ip4/192.0.2.7/tcp/4001/p2p/12D3KooW', '/ip4/192.0.2.7/tcp/4002/ws/p2p/12D3KooW'],
  page: undefined,
  note: 'two words',
}

test('addresses stand on lines of their own, where people copy them', () => {
  expect(written(ready, false).replace(/^\d\d:\d\d:\d\d/, 'time')).toBe(
    'time ready peer=12D3KooW note="two words"\n' +
      '    addresses:\n' +
      '      /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW\n' +
      '      /ip4/192.0.2.7/tcp/4002/ws/p2p/12D3KooW\n',
  )
})

test('programs get one line, as it is', () => {
  expect(written(ready, true)).toBe(`${JSON.stringify(ready)}\n`)
})

test('what strangers wrote cannot pass for another line, in a list or beside it', () => {
  const text = written({ event: 'odd', words: ['a\n12:00:00 ready'], reason: 'b\u001b[2J' }, false)
  expect(text.trimEnd().split('\n')).toHaveLength(3)
  expect(text).not.toContain('\u001b')
})
