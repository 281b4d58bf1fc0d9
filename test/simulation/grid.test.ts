/**
 * Rows and columns on the simulated network: 36 peers, six rows of six. What a lost peer costs is told by the mean's
 * weight; what it does not cost is the round, nor a single bit of anybody's state. What happens when a rule is broken:
 * `grid-bugs.test.ts`.
 */

import { expect, test } from 'vitest'
import { Grid } from '../../protocols/allreduce/plan/grid.ts'
import { finisherOf, reducersOf } from '../../protocols/allreduce/plan/plan-directory.ts'
import type { CommittedRound } from '../../protocols/allreduce/round/events.ts'
import type { Message } from '../../protocols/allreduce/round/vocabulary.ts'
import { deadlyGridMoments, strikeAt } from '../../simulator/deadly-moments.ts'
import { lose, nextRound, sixRows } from './six-rows.ts'

const weightOf = ({ plan }: CommittedRound) => plan.contributors.reduce((sum, { weight }) => sum + weight, 0)

test('all updates are in every part, over links with the own row, column and council alone', () => {
  const swarm = sixRows(1)
  for (let round = 0; round < 4; round++) nextRound(swarm)
  for (const outcome of swarm.outcomes.filter(({ round }) => round > 1)) {
    const { round, plan, parts, complete } = outcome
    expect(plan.contributors, `round ${round}`).toHaveLength(36)
    expect(parts.map(({ weight }) => weight)).toEqual(Array(6).fill(weightOf(outcome)))
    expect(complete).toHaveLength(36)
  }
  expect(swarm.live().flatMap(({ seen }) => seen.refused)).toEqual([])
  // not even where the council is new, and links with it are on their way
  expect(swarm.live().map(({ seen }) => seen.quorumLost)).toEqual(Array(36).fill(0))
  const base = swarm.live()[0]!.base!
  const layout = new Grid(base.root, base.electorate)
  nextRound(swarm)
  for (const a of swarm.live()) {
    const linked = swarm.live().filter((b) => a !== b && swarm.network.isLinked(a.id, b.id))
    expect(linked.length).toBeLessThan(36 - 1)
    if (!layout.council.includes(a.id)) expect(linked.length).toBeLessThanOrEqual(2 * (5 + 5))
  }
})

test.each([
  ["the leader's row, which has the means to pull", true],
  ['another row', false],
])('a reducer of %s takes its row out of its parts when it dies, and the weight says so', (_, isLeaders) => {
  const swarm = sixRows(2)
  nextRound(swarm)
  let struck: { victim: string; part: number } | undefined
  swarm.onMessage((from, _to, message: Message) => {
    if (message.kind !== 'Sum' || struck !== undefined) return 'pass'
    const { base } = swarm.peers.get(from)!
    const layout = new Grid(base!.root, base!.electorate)
    const [leader] = layout.council
    if (layout.areRowMates(from, leader!) === isLeaders && from !== leader && swarm.crash(from))
      struck = { victim: from, part: message.part }
    return 'pass'
  })
  swarm.runUntil(() => struck !== undefined, 'the strike', 60_000)
  const outcome = nextRound(swarm)
  const { victim, part } = struck!
  const row = outcome.plan.contributors.filter(({ seat }) => {
    const seatOfVictim = outcome.plan.contributors.find(({ peer }) => peer === victim)!.seat
    return Math.floor(seat / 6) === Math.floor(seatOfVictim / 6)
  })
  const lost = row.reduce((sum, { weight }) => sum + weight, 0)
  expect(outcome.parts[part]!.weight).toBe(weightOf(outcome) - lost)
  expect(outcome.parts.filter(({ weight }) => weight === weightOf(outcome)).length).toBeGreaterThan(0)
})

test('a leader that stands in for a gone mate hears of lost finishers from those who are linked with them', () => {
  const swarm = sixRows(2)
  nextRound(swarm)
  const base = swarm.live()[0]!.base!
  const layout = new Grid(base.root, base.electorate)
  const [leader] = layout.council
  const gone = layout.rowMatesOf(leader!).filter((peer) => !layout.council.includes(peer))
  for (const peer of gone) swarm.network.crash(peer)
  const lost: string[] = []
  let reassigned = 0
  swarm.onMessage((from, to, message: Message) => {
    if (message.kind === 'Reassign' && from === leader) reassigned++
    const standsIn = message.kind === 'Sum' && from === leader && !layout.areColumnMates(from, to)
    if (standsIn && lost.length === 0 && swarm.crash(to)) lost.push(to)
    return 'pass'
  })
  const outcome = nextRound(swarm)
  expect(lost).toHaveLength(1)
  expect(outcome.electorate).not.toEqual(expect.arrayContaining(gone))
  expect(reassigned).toBeGreaterThan(0)
  expect(reassigned).toBeLessThan(36 * 6) // each part once, to everyone
})

/**
 * A round whose leader does not get the mean of one part, which no councillor reduces, and with `isAlone` false nobody
 * but its reducers does; until somebody else leads. When that was, in virtual milliseconds from the plan on, and whom
 * the leader had named to make that mean.
 */
function leaderWithoutAMean({ isAlone }: { isAlone: boolean }) {
  const swarm = sixRows(2)
  nextRound(swarm)
  const { root, electorate, round } = swarm.live()[0]!.base!
  const grid = new Grid(root, electorate)
  const leader = grid.council[0]!
  const finishers: string[] = []
  let part: number | undefined
  let reducers: readonly string[] = []
  let plannedMs = 0
  let preparedMs: number | undefined
  swarm.onMessage((from, _to, message: Message) => {
    if (message.kind === 'Plan' && message.round === round && part === undefined) {
      const isOutside = (peer: string) => !grid.council.includes(peer)
      const share = message.plan.shares.find((share) => share.reducers.every(isOutside))!
      part = share.firstPart
      reducers = share.reducers
      plannedMs = swarm.clock.now()
    }
    const isNamed = message.kind === 'Reassign' && from === leader && finishers.at(-1) !== message.reducer
    if (isNamed) finishers.push(message.reducer)
    if (message.kind === 'Prepare' && message.round === round) preparedMs ??= swarm.clock.now()
    return 'pass'
  })
  const lostCount = lose(swarm, (_from, to, message) => {
    if (message.kind !== 'Result' || message.round !== round || message.part !== part) return false
    return preparedMs === undefined && (isAlone ? to === leader : !reducers.includes(to))
  })
  const outcome = nextRound(swarm)
  expect(lostCount()).toBeGreaterThan(6)
  expect(outcome.complete).toHaveLength(36)
  return { waitedMs: preparedMs! - plannedMs, finishers }
}

test('a leader that never gets a mean which all others have is replaced after twenty seconds', () => {
  const { waitedMs, finishers } = leaderWithoutAMean({ isAlone: true })
  expect(waitedMs).toBeGreaterThan(20_000)
  expect(waitedMs).toBeLessThan(25_000)
  expect(finishers).toHaveLength(1)
})

test('where nobody else gets it either, the leader may name each finisher once, and is replaced when it names one again', () => {
  const { finishers } = leaderWithoutAMean({ isAlone: false })
  expect(new Set(finishers.slice(0, 6)).size).toBe(6)
  expect(finishers.length).toBeGreaterThan(6)
  expect(finishers.length).toBeLessThan(9)
})

/**
 * A part's sums reach its finisher three seconds late, and by then its reducers in all other rows are gone, so nobody
 * but the finisher's row has the mean. The leader's only way to that row is a column mate that came back after the
 * plan. In row 4 whoever stands in for that mate is not the finisher, who would have a link with the leader.
 */
test('a mean that one row alone holds reaches the leader by a mate that came too late for the plan', () => {
  const row = 4
  const swarm = sixRows(4)
  nextRound(swarm)
  const { root, electorate, round } = swarm.live()[0]!.base!
  const grid = new Grid(root, electorate)
  const leader = grid.council[0]!
  const late = grid.at(row, grid.columnOf(leader)!)
  swarm.network.crash(late)
  let lost: readonly string[] = []
  let prepared = 0
  swarm.onMessage((_from, _to, message: Message) => {
    if (message.kind === 'Prepare' && message.round === round) prepared++
    if (message.kind !== 'Plan' || message.round !== round || lost.length > 0) return 'pass'
    const { plan } = message
    const { firstPart: part } = plan.shares.find(
      ({ firstPart }) => grid.rowOf(finisherOf(plan, firstPart)!) === row,
    )!
    const finisher = finisherOf(plan, part)!
    expect([...plan.contributors, ...plan.receivers].map(({ peer }) => peer)).not.toContain(late)
    expect(grid.council).not.toContain(finisher)
    lost = reducersOf(plan, part).filter((peer) => peer !== finisher)
    swarm.network.mute(lost[0]!, finisher, 3_000)
    swarm.clock.setTimer(50, () => swarm.start(late))
    swarm.clock.setTimer(2_500, () => {
      for (const peer of lost) swarm.network.crash(peer)
    })
    return 'pass'
  })
  const outcome = nextRound(swarm)
  expect(lost).toHaveLength(5)
  expect(lost).not.toContain(leader)
  expect(outcome.complete).toHaveLength(35)
  expect(prepared).toBe(0)
})

test('a row reducer that leaves as it hands in its sums costs no part anything', () => {
  const swarm = sixRows(2)
  nextRound(swarm)
  let leaver: string | undefined
  swarm.onMessage((from, _to, message: Message) => {
    if (message.kind !== 'Sum' || leaver !== undefined) return 'pass'
    leaver = from
    swarm.leave(from, 8_000)
    return 'pass'
  })
  swarm.runUntil(() => leaver !== undefined, 'the departure', 60_000)
  const outcome = nextRound(swarm)
  expect(outcome.complete).toHaveLength(36)
  expect(outcome.parts.map(({ weight }) => weight)).toEqual(Array(6).fill(weightOf(outcome)))
  nextRound(swarm)
  expect(swarm.network.isRunning(leaver!)).toBe(false)
  expect(swarm.outcomes.at(-1)!.electorate).not.toContain(leaver)
})

test.each(Object.keys(deadlyGridMoments))(
  'a %s dies, and the others end the round and the next ones',
  (moment) => {
    const swarm = sixRows(3)
    strikeAt(swarm, moment, swarm.random)
    for (let round = 0; round < 4 && swarm.log.count(moment) === 0; round++) nextRound(swarm)
    expect(swarm.log.count(moment)).toBe(1)
    nextRound(swarm)
    nextRound(swarm)
  },
)

test('a side with less than half of the peers commits nothing, the other goes on, and they are one again', () => {
  const swarm = sixRows(4)
  const base = swarm.live()[0]!.base!
  const { council } = new Grid(base.root, base.electorate)
  const outsiders = base.electorate.filter((peer) => !council.includes(peer))
  const minority = [...council.slice(0, 3), ...outsiders.slice(0, 9)]
  swarm.network.partition([minority, base.electorate.filter((peer) => !minority.includes(peer))])
  swarm.runFor(30_000)
  const rounds = new Map(swarm.live().map((peer) => [peer.id, peer.base?.round ?? -1]))
  for (const peer of minority) expect(rounds.get(peer)).toBeLessThanOrEqual(base.round + 1)
  expect(Math.max(...rounds.values())).toBeGreaterThan(base.round + 3)
  swarm.recover(2)
})
