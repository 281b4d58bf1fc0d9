/** A peer by its nickname, with the end of its id, and the whole id to copy. */

import { useState } from 'preact/hooks'
import { shortId } from '../../protocols/core/quantities.ts'
import { nickname } from './nickname.ts'

export function PeerName({ id }: { id: string }) {
  return (
    <span class="peer-name" title={id}>
      {nickname(id)} <code>{shortId(id)}</code> <CopyButton text={id} what="whole id" />
    </span>
  )
}

/** Copies `text`; says so for two seconds. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [said, say] = useState<'' | 'Copied' | 'Not allowed'>('')
  const copy = async () => {
    // over plain http a browser has no clipboard
    const clipboard: Clipboard | undefined = navigator.clipboard
    say(
      clipboard === undefined
        ? 'Not allowed'
        : await clipboard.writeText(text).then(
            () => 'Copied',
            () => 'Not allowed',
          ),
    )
    setTimeout(() => say(''), 2000)
  }
  return (
    <button type="button" class="link" onClick={() => void copy()}>
      {said === '' ? `Copy ${what}` : said}
    </button>
  )
}
