/**
 * The donor page with a scene (scenes.ts) in the place of its peer: `?scene=training` in the address chooses it,
 * `&silent` lets it say one thing and then nothing more. What the page asks of the donation is kept in `window.asked`.
 */

import type { DonationInit, StartDonation } from '../../../browser-client/donation.ts'
import { openPage } from '../../../browser-client/page/open-page.tsx'
import { type SceneName, scenes } from './scenes.ts'

const asked: unknown[] = []
Object.assign(window, { asked })

const parameters = new URLSearchParams(location.search)
const scene = scenes[(parameters.get('scene') ?? 'training') as SceneName]

/** A donation says something at least every two seconds (donation.ts). */
const sayEveryMs = 500

const startDonation: StartDonation = async ({ limits, onSnapshot, onLog }: DonationInit) => {
  asked.push(limits)
  const say = () => onSnapshot(scene)
  // who lost the others had them before
  onSnapshot({ ...scene, isConnected: true, failure: null, phase: 'training' })
  say()
  const timer = parameters.has('silent') ? undefined : setInterval(say, sayEveryMs)
  for (let round = 30; round <= 34; round++)
    onLog({ atMs: Date.now(), level: 'info', text: `round ${round}: committed, 6 peers` })
  onLog({ atMs: Date.now(), level: 'warning', text: 'quiet wren left in mid-round; its part was taken over' })
  const leave = async (how: string) => {
    asked.push(how)
    clearInterval(timer)
  }
  return {
    limit: (changed) => void asked.push(changed),
    finish: () => leave('finish'),
    stop: () => leave('stop'),
  }
}

openPage({ loadPeer: async () => ({ startDonation }) })
