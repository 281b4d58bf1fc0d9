/**
 * Jobs: signed manifests, progress, verdicts. The public face of this protocol, as a libp2p service:
 *
 *     const node = await createLibp2p({ services: { pubsub: gossipsub(…), jobs: jobs() } })
 *     const { job } = await node.services.jobs.announce((await sealManifest(manifest, privateKey)).envelope)
 *     const unfollow = node.services.jobs.follow(job, (notice) => { … })
 *
 * It needs gossipsub with StrictSign under the name `pubsub`. Training itself is the run's business (protocols/run).
 */

import { type JobsComponents, type JobsInit, JobsService } from './service.ts'

export type Jobs = JobsService

/** The service factory. */
export function jobs(init: JobsInit = {}): (components: JobsComponents) => Jobs {
  return (components) => new JobsService(components, init)
}

export { createManifest, type Manifest, type ManifestInit } from './manifest.ts'
export type { JobStatus, JobSummary, Progress } from './messages.ts'
export type { JobNotice, JobRecord } from './record.ts'
export { statusOf } from './record.ts'
export type { RemoteJob, RemoteJobs } from './remote.ts'
export type { JobListener, JobsComponents, JobsInit } from './service.ts'
export { openManifest, type SignedJob, type SignedStatement, sealManifest, sealStatement } from './signed.ts'
export type {
  ConvergenceSpec,
  OuterSpec,
  SwarmSpec,
  TrainingPlan,
  TrainSpec,
} from './spec.ts'
export {
  type Evaluation,
  isFinal,
  type Statement,
  type Stop,
  statementKind,
  type Verdict,
  watchingReason,
} from './statement.ts'
