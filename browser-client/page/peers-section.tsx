/**
 * Who else is in the run: a table, and the same as a picture. What a peer does is a shape and a word, never a colour
 * alone.
 */

import { useEffect, useRef, useState } from 'preact/hooks'
import { count, shortId } from '../../protocols/core/quantities.ts'
import type { PeerRow } from '../donation.ts'
import { nickname } from './nickname.ts'
import type { PartProps } from './part-props.ts'
import type { PeerGraph } from './peer-graph.ts'
import type { Look } from './theme.ts'
import { whenLoaded } from './when-loaded.ts'

/** Rows shown: one group of peers twice over. More would be scrolled past, and cost the tab time. */
const rowsMax = 64

export function PeersSection({ page, look }: PartProps & { look: Look }) {
  const snapshot = page.snapshot.value
  // who only watches comes last
  const peers = (snapshot?.peers ?? []).toSorted((a, b) => Number(a.phase === '') - Number(b.phase === ''))
  const [view, choose] = useState<'table' | 'picture'>('table')
  return (
    <section class="card" aria-labelledby="peers">
      <div class="section-head">
        <h2 id="peers">The others</h2>
        {peers.length > 0 && (
          <fieldset class="choice">
            <legend class="unseen">How they are shown</legend>
            {(['table', 'picture'] as const).map((one) => (
              <label key={one}>
                <input type="radio" name="peers-view" checked={view === one} onChange={() => choose(one)} />
                <span>{one === 'table' ? 'Table' : 'Picture'}</span>
              </label>
            ))}
          </fieldset>
        )}
      </div>
      {peers.length === 0 && (
        <p class="quiet">No other peer has been found yet. They appear here as they are heard of.</p>
      )}
      {peers.length > 0 && view === 'table' && <PeerTable peers={peers} />}
      {peers.length > 0 && view === 'picture' && (
        <PeerPicture self={snapshot?.self ?? ''} peers={peers} scheme={look.scheme.value} />
      )}
    </section>
  )
}

function PeerTable({ peers }: { peers: readonly PeerRow[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard (WCAG 2.1.1)
    <section class="scroll" tabIndex={0} aria-label="Peers">
      <table class="peers">
        <thead>
          <tr>
            <th scope="col">Peer</th>
            <th scope="col">Does</th>
            <th scope="col">Round</th>
            <th scope="col">Link</th>
            <th scope="col">Runs on</th>
            <th scope="col">Samples/s</th>
          </tr>
        </thead>
        <tbody>
          {peers.slice(0, rowsMax).map((peer) => (
            <tr key={peer.id} class={peer.connection === 'none' ? 'gone' : ''}>
              <th scope="row" title={peer.id}>
                {nickname(peer.id)} <code>{shortId(peer.id)}</code>
                {peer.role !== 'node' && <small>{peer.role}</small>}
              </th>
              <td>
                <span class="shape" aria-hidden="true">
                  {phaseShape(peer.phase)}
                </span>{' '}
                {peer.phase || 'watching'}
              </td>
              <td class="figure">{peer.round === null ? '–' : count(peer.round)}</td>
              <td>{linkWords(peer)}</td>
              <td>{peer.backend === 'none' ? '–' : peer.backend}</td>
              <td class="figure">{peer.samplesPerSecond === null ? '–' : count(peer.samplesPerSecond)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {peers.length > rowsMax && <p class="quiet">And {count(peers.length - rowsMax)} more.</p>}
    </section>
  )
}

function linkWords({ connection, rttMs }: PeerRow): string {
  if (connection === 'none') return 'no link'
  return rttMs === null ? connection : `${connection}, ${Math.round(rttMs)}\u00a0ms`
}

/** A shape for each thing a peer does; a circle for what this page does not know. */
function phaseShape(phase: string): string {
  const shapes: Readonly<Record<string, string>> = {
    training: '▲',
    averaging: '◆',
    syncing: '◌',
    waiting: '◦',
    finished: '✓',
    '': '◉',
  }
  return shapes[phase] ?? '●'
}

function PeerPicture({ self, peers, scheme }: { self: string; peers: readonly PeerRow[]; scheme: string }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const graph = useRef<PeerGraph | undefined>(undefined)
  const newest = useRef({ self, peers })
  newest.current = { self, peers }
  graph.current?.show(self, peers)
  // made again with the scheme: a canvas takes its colours when it is made
  useEffect(() => {
    let isGone = false
    whenLoaded(import('./peer-graph.ts'), ({ PeerGraph }) => {
      if (isGone) return
      graph.current = new PeerGraph(canvas.current!)
      graph.current.show(newest.current.self, newest.current.peers)
    })
    return () => {
      isGone = true
      graph.current?.remove()
      graph.current = undefined
    }
  }, [scheme])
  const direct = peers.filter(({ connection }) => connection === 'direct').length
  const relayed = peers.filter(({ connection }) => connection === 'relayed').length
  return (
    <figure class="chart">
      <canvas
        class="graph"
        ref={canvas}
        role="img"
        aria-label={`This tab and ${peers.length} peers: ${direct} linked directly, ${relayed} over a relay. The table has the details.`}
      />
      <figcaption>
        <span class="key you">This tab</span>
        <span class="key tab">Tab</span>
        <span class="key node">Node</span>
        <span class="key coordinator">Coordinator</span>
        <span class="key relayed">Over a relay</span>
      </figcaption>
    </figure>
  )
}
