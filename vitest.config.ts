/**
 * Test projects, from the fastest to the slowest. `unit` opens no socket, starts no process and runs no kernel, so its
 * files can share processes; `engine` runs kernels, whose memory and devices outlive a file, each file in a process of
 * its own; `simulation` runs the protocol machines on a virtual clock, and beside it `network` one service after
 * another between real libp2p nodes, which mostly wait; `processes` starts whole programs, up to seven for a
 * file, which wait for each other for half of the time, and beside it `page` shows the donor page in a Chromium without
 * a swarm; `e2e` has both, tabs and programs, one file at a time, since it measures what a tab takes of a machine.
 */
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { softwareGpu } from './test/software-gpu.ts'

const setupFiles = ['./node/network/platform.ts', './test/equal-arrays.ts']
/** Real nodes of single services, most of them in the test's own process. */
const ofServices = [
  'test/integration/{allreduce,discovery,jobs,links,private-swarm,relay,shards,stun}.test.ts',
]
/** The page alone, as people open it, in each of its states. */
const ofThePage = 'test/e2e/page.test.ts'
const withKernels = ['test/compliance/**/*.test.ts', 'test/unit/{engine,engine-run,cli}/**/*.test.ts']

/** Files at a time where each keeps one core busy or none: vitest leaves one free, which is half of a small machine. */
const maxWorkers = availableParallelism()

export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles,
          include: ['test/{unit,wire}/**/*.test.ts', 'test/*.test.ts'],
          exclude: withKernels,
          isolate: false,
          testTimeout: 30_000,
          maxWorkers,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'engine',
          setupFiles,
          globalSetup: ['./test/bundle-compute-worker.mjs'],
          include: withKernels,
          env: softwareGpu,
          testTimeout: 30_000,
          maxWorkers,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          testTimeout: 120_000,
          maxWorkers,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'network',
          setupFiles,
          include: ofServices,
          testTimeout: 240_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: 30_000 } }, // as of `processes`
          maxWorkers,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'processes',
          setupFiles,
          globalSetup: ['./test/bundle-programs.mjs'],
          include: ['test/{integration,learning}/**/*.test.ts'],
          exclude: ofServices,
          maxWorkers,
          testTimeout: 240_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: 30_000 } }, // what is waited for comes; when, is the machine's business
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'page',
          setupFiles,
          globalSetup: ['./test/bundle-programs.mjs'],
          include: [ofThePage],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          maxWorkers,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'e2e',
          setupFiles,
          globalSetup: ['./test/bundle-programs.mjs'],
          include: ['test/e2e/**/*.test.ts'],
          exclude: [ofThePage],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
})
