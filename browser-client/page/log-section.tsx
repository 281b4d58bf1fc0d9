/** What happened, line by line: to follow, to search, and to hand to whoever is asked for help. */

import { useEffect, useRef, useState } from 'preact/hooks'
import { count } from '../../protocols/core/quantities.ts'
import type { LogEntry } from '../donation.ts'
import { filtered, type LogFilter, type LogLine, logText } from './log-buffer.ts'
import type { PartProps } from './part-props.ts'
import { CopyButton } from './peer-name.tsx'

/** Lines in the document at a time, the newest: as many as anybody reads, and the page stays light. */
const linesShownMax = 300

export function LogSection({ page }: PartProps) {
  const [filter, setFilter] = useState<LogFilter>({ level: 'info', search: '' })
  const lines = filtered(page.log.value, filter)
  return (
    <section class="card log" aria-labelledby="log">
      <div class="section-head">
        <h2 id="log">Log</h2>
        <div class="log-tools">
          <label>
            <span class="unseen">Search the log</span>
            <input
              type="search"
              placeholder="Search"
              value={filter.search}
              onInput={(event) => setFilter({ ...filter, search: event.currentTarget.value })}
            />
          </label>
          <label>
            <span class="unseen">Least level</span>
            <select
              value={filter.level}
              onChange={(event) =>
                setFilter({ ...filter, level: event.currentTarget.value as LogEntry['level'] })
              }
            >
              <option value="info">Everything</option>
              <option value="warning">Warnings and errors</option>
              <option value="error">Errors</option>
            </select>
          </label>
          <CopyButton text={logText(page.log.value)} what="log" />
          <button type="button" class="link" onClick={() => download(logText(page.log.value))}>
            Download
          </button>
        </div>
      </div>
      <Lines lines={lines} />
    </section>
  )
}

function Lines({ lines }: { lines: readonly LogLine[] }) {
  const box = useRef<HTMLDivElement>(null)
  const [isFollowing, follow] = useState(true)
  useEffect(() => {
    if (isFollowing && box.current !== null) box.current.scrollTop = box.current.scrollHeight
  })
  const shown = lines.slice(-linesShownMax)
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard (WCAG 2.1.1) */}
      <div class="lines" ref={box} tabIndex={0} role="log" aria-live="off" aria-label="Log lines">
        {lines.length === 0 && <p class="quiet">No line matches.</p>}
        {lines.length > shown.length && (
          <p class="quiet">{count(lines.length - shown.length)} earlier lines are in the download.</p>
        )}
        {shown.map((line) => (
          <p key={line.index} class={`line ${line.level}`}>
            <time>{new Date(line.atMs).toLocaleTimeString('en-GB')}</time>{' '}
            {line.level !== 'info' && <strong>{line.level}: </strong>}
            {line.text}
          </p>
        ))}
      </div>
      <label class="follow">
        <input
          type="checkbox"
          checked={isFollowing}
          onChange={(event) => follow(event.currentTarget.checked)}
        />
        Follow the newest line
      </label>
    </>
  )
}

/** Hands the donor `text` as a file. */
function download(text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
  const link = document.createElement('a')
  link.href = url
  link.download = 'starling-log.txt'
  link.click()
  URL.revokeObjectURL(url)
}
