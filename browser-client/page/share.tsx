/** The same invitation for others: the link of this page, and its QR code for a phone. */

import { useEffect, useRef, useState } from 'preact/hooks'
import { CopyButton } from './peer-name.tsx'
import { whenLoaded } from './when-loaded.ts'

export function Share() {
  const [isOpen, setOpen] = useState(false)
  return (
    <section class="card" aria-labelledby="share">
      <h2 id="share">Bring someone along</h2>
      <p>
        Whoever opens this link is shown what you were shown.{' '}
        <CopyButton text={location.href} what="the link" />
      </p>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>QR code for a phone</summary>
        {isOpen && <QrCode text={location.href} />}
      </details>
    </section>
  )
}

/** Drawn on a canvas, one pixel a module; the stylesheet makes it larger. Loaded only when it is wanted. */
function QrCode({ text }: { text: string }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    whenLoaded(import('uqr'), ({ encode }) => {
      const { size, data } = encode(text, { ecc: 'L', border: 3 })
      const context = canvas.current?.getContext('2d')
      if (context == null) return
      context.canvas.width = context.canvas.height = size
      const image = context.createImageData(size, size)
      for (const [index, isDark] of data.flat().entries())
        image.data.set(isDark ? [0, 0, 0, 255] : [255, 255, 255, 255], index * 4)
      context.putImageData(image, 0, 0)
    })
  }, [text])
  return <canvas class="qr" ref={canvas} role="img" aria-label="QR code of this page’s link" />
}
