/**
 * Peers of a simulated run that fall silent: nobody closes a connection, nothing comes. The others go on within
 * seconds, and who is heard again takes part again. What each moment costs is told by `npm run bench -- silence`;
 * silences among all other faults are in `seeds` and `tides`.
 */

import { expect, test } from 'vitest'
import { silencedMoments, silencedRoundMs } from '../../simulator/silenced-round.ts'
import { calmSwarm } from './calm-swarm.ts'

/**
 * Until a link is known to be silent, at most ten seconds pass; then a round of two is trained. Twice that where the
 * first leader had been killed, and two have to be followed.
 */
const roundMsMax = 15_000

test.each(silencedMoments(6))('a %s falls silent, and the others end the round within seconds', (moment) => {
  const isSecond = /prepares|promises/.test(moment)
  for (let seed = 1; seed <= 4; seed++) {
    const tookMs = silencedRoundMs({ seed, peers: 6, moment, hearsSilence: true })
    expect(tookMs, `seed ${seed}`).toBeLessThan(isSecond ? 2 * roundMsMax : roundMsMax)
  }
})

test('with updates of 16 MiB a silent reducer of sixteen is waited for by its own link, not by the slowest that there may be', () => {
  const init = { seed: 1, peers: 16, moment: 'reducer before it reduces', hearsSilence: true }
  expect(silencedRoundMs({ ...init, uplink: 125e6 })).toBeLessThan(roundMsMax)
})

test('without pulses a leader that falls silent is replaced half a minute later', () => {
  const tookMs = silencedRoundMs({ seed: 1, peers: 6, moment: 'leader as it plans', hearsSilence: false })
  expect(tookMs).toBeGreaterThan(2 * roundMsMax)
})

test('a peer whose uplink holds everything back for five seconds, again and again, stays a member and gives its updates', () => {
  const swarm = calmSwarm(1, { trainingMs: 10_000 })
  swarm.found()
  const others = swarm.founders.filter((id) => id !== 'peer-3')
  const holdBack = (): void => {
    for (const other of others) swarm.network.mute('peer-3', other, 5_000)
    swarm.log.note('held back')
    swarm.clock.setTimer(5_000 + swarm.random.integer(4_000), holdBack)
  }
  holdBack()
  swarm.runFor(300_000)
  expect(swarm.log.count('held back')).toBeGreaterThan(10)
  expect(swarm.log.count('silent link')).toBe(0)
  for (const { electorate } of swarm.outcomes) expect(electorate).toContain('peer-3')
  const given = swarm.outcomes.filter(({ complete }) => complete.some(({ peer }) => peer === 'peer-3'))
  expect(given.length / swarm.outcomes.length).toBeGreaterThan(0.9)
})

test('a peer that is silent for fifteen seconds is left out meanwhile, and gives its updates again within two rounds', () => {
  const swarm = calmSwarm(2)
  swarm.found()
  swarm.network.silence('peer-3', 15_000)
  swarm.runFor(15_000)
  expect(swarm.log.count('silent link')).toBe(8)
  expect(swarm.outcomes.at(-1)!.electorate).toEqual(['peer-0', 'peer-1', 'peer-2', 'peer-4'])
  const before = swarm.round
  swarm.runUntil(() => swarm.round > before + 3, 'rounds with it', 20_000)
  expect(swarm.outcomes.at(-1)!.complete.map(({ peer }) => peer)).toContain('peer-3')
})

test('of a network that is parted in silence the larger side goes on within seconds, and joined again all are one', () => {
  const swarm = calmSwarm(3, { peers: 6, peersMin: 4 })
  swarm.found()
  const few = ['peer-1', 'peer-4']
  for (const from of swarm.founders)
    for (const to of swarm.founders)
      if (few.includes(from) !== few.includes(to)) swarm.network.mute(from, to, 60_000)
  const before = swarm.round
  swarm.runFor(20_000)
  const rounds = new Map(swarm.live().map(({ id, base }) => [id, base?.round ?? -1]))
  expect(rounds.get('peer-0')).toBeGreaterThan(before + 3)
  for (const id of few) expect(rounds.get(id)).toBeLessThanOrEqual(before + 1)
  swarm.runFor(40_000)
  swarm.recover(2)
})
