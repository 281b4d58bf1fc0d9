/**
 * Draws the flock, and gives it its time: 30 steps a second while it is in sight, none while it is not, and one still
 * picture for each state where the donor prefers reduced motion. For the eye only; the same is said in words elsewhere.
 */

import { useEffect, useRef } from 'preact/hooks'
import { seededRandom } from '../../protocols/core/random.ts'
import { resolvedColor } from './colors.ts'
import { type Bird, Flock, type FlockScene, wireY } from './flock.ts'

/** What the flock shows; see flock.ts. */
export type FlockMood = Pick<FlockScene, 'others' | 'isOwnFlying' | 'isGathering'>

/** Fluid to the eye, and half the work of a screen's own 60. */
const frameMs = 1000 / 30

/** Seconds of flight before a still picture: by then every bird has found its group or its place on the wire. */
const settleSeconds = 14

export function FlockCanvas({ mood, theme }: { mood: FlockMood; theme: string }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const flock = useRef<Flock | undefined>(undefined)
  const current = useRef(mood)
  current.current = mood
  flock.current ??= new Flock(seededRandom(7))
  const { others, isOwnFlying, isGathering } = mood
  useEffect(
    () => animate(canvas.current!, flock.current!, () => current.current),
    [theme, stillKey({ others, isOwnFlying, isGathering })],
  )
  return (
    <div class="flock" aria-hidden="true">
      <canvas ref={canvas} />
    </div>
  )
}

/** Changes with the mood only where motion is reduced: an animation goes on by itself. */
function stillKey(mood: FlockMood): string {
  return prefersStillness() ? JSON.stringify({ ...mood, isGathering: false }) : ''
}

function prefersStillness(): boolean {
  return matchMedia('(prefers-reduced-motion: reduce)').matches
}

/** Runs until the returned function is called. */
function animate(canvas: HTMLCanvasElement, flock: Flock, mood: () => FlockMood): () => void {
  const painter = new Painter(canvas)
  if (prefersStillness()) {
    const draw = () => {
      const scene = { ...painter.fit(), ...mood(), isGathering: false }
      for (let seconds = 0; seconds < settleSeconds; seconds += 0.05) flock.step(scene, 0.05)
      painter.draw(flock.birds, scene)
    }
    const resized = new ResizeObserver(draw)
    resized.observe(canvas)
    return () => resized.disconnect()
  }
  let [frame, lastMs] = [0, performance.now()]
  const next = (nowMs: number) => {
    frame = requestAnimationFrame(next)
    if (nowMs - lastMs < frameMs - 2) return
    const scene = { ...painter.fit(), ...mood() }
    flock.step(scene, (nowMs - lastMs) / 1000)
    painter.draw(flock.birds, scene)
    lastMs = nowMs
  }
  const seen = new IntersectionObserver((entries) => {
    cancelAnimationFrame(frame)
    if (entries.at(-1)?.isIntersecting) frame = requestAnimationFrame(next)
  })
  seen.observe(canvas)
  return () => {
    seen.disconnect()
    cancelAnimationFrame(frame)
  }
}

class Painter {
  readonly #canvas: HTMLCanvasElement
  readonly #context: CanvasRenderingContext2D
  readonly #colors: { own: string; others: string; wire: string }

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas
    this.#context = canvas.getContext('2d')!
    this.#colors = {
      own: resolvedColor(canvas, '--own-bird'),
      others: resolvedColor(canvas, '--bird'),
      wire: resolvedColor(canvas, '--wire'),
    }
  }

  /** Gives the canvas as many pixels as the screen has for it; its size in CSS pixels. */
  fit(): { width: number; height: number } {
    const { clientWidth: width, clientHeight: height } = this.#canvas
    const density = Math.min(2, devicePixelRatio)
    if (
      this.#canvas.width !== Math.round(width * density) ||
      this.#canvas.height !== Math.round(height * density)
    ) {
      this.#canvas.width = Math.round(width * density)
      this.#canvas.height = Math.round(height * density)
    }
    this.#context.setTransform(density, 0, 0, density, 0, 0)
    return { width, height }
  }

  draw(birds: readonly Bird[], scene: FlockScene): void {
    const context = this.#context
    context.clearRect(0, 0, scene.width, scene.height)
    this.#drawWire(scene)
    for (const isOwn of [false, true]) {
      context.beginPath()
      for (const bird of birds)
        if ((bird.group === 0) === isOwn) trace(context, bird, (isOwn ? 1.2 : 1) * bird.nearness)
      context.fillStyle = isOwn ? this.#colors.own : this.#colors.others
      context.fill()
    }
  }

  #drawWire(scene: FlockScene): void {
    const context = this.#context
    context.beginPath()
    for (let x = 0; x <= scene.width; x += 24) context.lineTo(x, wireY(x, scene))
    context.lineTo(scene.width, wireY(scene.width, scene))
    context.strokeStyle = this.#colors.wire
    context.lineWidth = 1.2
    context.stroke()
  }
}

/** Adds a bird's outline: body and two beating wings in flight, upright and plump on the wire. */
function trace(context: CanvasRenderingContext2D, bird: Bird, scale: number): void {
  const { x, y } = bird
  if (bird.isPerched) {
    const r = 3.4 * scale
    context.moveTo(x + r * 0.8, y - r * 1.2)
    context.ellipse(x, y - r * 1.2, r * 0.75, r * 1.25, 0.15, 0, 2 * Math.PI)
    context.moveTo(x + r * 0.75, y - r * 2.7)
    context.arc(x + r * 0.2, y - r * 2.7, r * 0.6, 0, 2 * Math.PI)
    context.moveTo(x + r * 0.6, y - r * 3)
    context.lineTo(x + r * 1.6, y - r * 2.6)
    context.lineTo(x + r * 0.6, y - r * 2.4)
    return
  }
  const angle = Math.atan2(bird.vy, bird.vx)
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  const span = (3 + 3.6 * Math.abs(Math.cos(bird.beat))) * scale
  const length = 4.4 * scale
  const at = (forward: number, side: number): [number, number] => [
    x + forward * cos - side * sin,
    y + forward * sin + side * cos,
  ]
  context.moveTo(...at(length, 0))
  context.lineTo(...at(-length * 0.25, span))
  context.lineTo(...at(length * 0.1, 0.9 * scale))
  context.lineTo(...at(-length, 0))
  context.lineTo(...at(length * 0.1, -0.9 * scale))
  context.lineTo(...at(-length * 0.25, -span))
  context.closePath()
}
