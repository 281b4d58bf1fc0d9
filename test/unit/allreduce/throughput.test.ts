import { expect, test } from 'vitest'
import { Throughput } from '../../../protocols/allreduce/throughput.ts'

/** Sends `frames` of `bytes`, one after the other, each taken after `eachMs`. */
function send(throughput: Throughput, startMs: number, frames: number, bytes: number, eachMs: number): void {
  for (let frame = 0; frame < frames; frame++) {
    throughput.sendStarted(startMs + frame * eachMs)
    throughput.sendEnded(bytes, startMs + (frame + 1) * eachMs)
  }
}

test('what the links took over the time they were busy is the rate, however many links share it', () => {
  const throughput = new Throughput()
  throughput.sendStarted(1_000)
  throughput.sendStarted(1_000)
  throughput.sendEnded(50_000, 1_500)
  throughput.sendEnded(50_000, 2_000)
  send(throughput, 60_000, 1, 100_000, 1_000) // the pause between two bursts is not busy
  expect(throughput.settle()).toBe(100_000)
})

test('a sample too short to say more than how large the buffers are is no measurement', () => {
  const throughput = new Throughput()
  send(throughput, 0, 2, 1 << 20, 100)
  expect(throughput.settle()).toBeUndefined()
  send(throughput, 5_000, 1, 1 << 20, 50)
  expect(throughput.settle()).toBe((3 * 2 ** 20 * 1000) / 250)
})

test('the lesser direction counts, and a changed link is believed within three rounds', () => {
  const throughput = new Throughput()
  send(throughput, 0, 1, 1_000_000, 1_000)
  for (let ms = 0; ms <= 1_000; ms += 50) throughput.arrived(10_000, ms)
  expect(throughput.settle()).toBe(200_000)
  for (let round = 1; round <= 3; round++) {
    for (let ms = 0; ms <= 1_000; ms += 50) throughput.arrived(20_000, 10_000 * round + ms)
    throughput.settle()
  }
  expect(throughput.settle()).toBe(375_000)
})

test('a link that breaks took nothing, and its time counts', () => {
  const throughput = new Throughput()
  send(throughput, 0, 1, 500_000, 1_000)
  send(throughput, 1_000, 1, 0, 1_000)
  expect(throughput.settle()).toBe(250_000)
})
