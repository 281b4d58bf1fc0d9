/**
 * Loads the peer and hands the donation to it. This is what the page's bundle holds of the peer: a download with
 * progress, and one import whose name the build decides.
 */

import type { Donation, DonationInit, StartDonation } from './donation.ts'
import { pageBuild } from './page-build.ts'
import type { StartPeer } from './peer/start.ts'
import { downloadFiles, fetchProgram, requireSameBuild, totalBytes } from './program.ts'
import { firstSnapshot } from './snapshot.ts'

/**
 * Starts to donate, after the donor's click.
 * @throws {SwarmError} DOWNLOAD_FAILED, VERSION_MISMATCH, and what {@link StartPeer} throws.
 * @throws {unknown} `init.signal.reason` when it aborts first.
 */
export const startDonation: StartDonation = async (init: DonationInit): Promise<Donation> => {
  const clickedMs = performance.now()
  init.onSnapshot(firstSnapshot)
  const { signal } = init
  const program = await fetchProgram({ signal })
  requireSameBuild(program, pageBuild())
  const bytesTotal = totalBytes(program.files)
  await downloadFiles(program.files, {
    signal,
    onProgress: (bytes) =>
      init.onSnapshot({ ...firstSnapshot, progress: [{ what: 'program', bytes, bytesTotal }] }),
  })
  const url = new URL(program.entries.peer, document.baseURI).href
  signal.throwIfAborted()
  const { startPeer } = (await import(url)) as { startPeer: StartPeer }
  return startPeer({ ...init, program, clickedMs })
}
