/**
 * The run's peers as a picture, laid out by d3-force: this tab in the middle, a line to each peer it is linked to,
 * shorter the nearer that peer is. Circles are tabs, squares nodes, diamonds coordinators; a relayed link is dashed.
 * Loaded late.
 */

import {
  forceCollide,
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  type Simulation,
} from 'd3-force'
import type { PeerRow } from '../donation.ts'
import { resolvedColor } from './colors.ts'
import { nickname } from './nickname.ts'

interface Node {
  id: string
  /** `undefined` for this tab. */
  peer: PeerRow | undefined
  x?: number
  y?: number
}

interface Link {
  source: Node
  target: Node
}

/** Peers drawn: more do not fit a card with their names. */
const peersMax = 40

/** Pixels of a link: 80 for a peer next door, growing with the logarithm of its round trip. */
function linkLength({ target }: Link): number {
  return 80 + 30 * Math.log10(1 + (target.peer?.rttMs ?? 30))
}

export class PeerGraph {
  readonly #canvas: HTMLCanvasElement
  readonly #context: CanvasRenderingContext2D
  readonly #colors: Record<'accent' | 'own' | 'violet' | 'ink' | 'line', string>
  readonly #simulation: Simulation<Node, undefined>
  readonly #links = forceLink<Node, Link>().distance(linkLength)
  readonly #resized: ResizeObserver
  #nodes: Node[] = []

  /** Draws into `canvas`, in the colours that it has now. */
  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas
    this.#context = canvas.getContext('2d')!
    const color = (name: `--${string}`) => resolvedColor(canvas, name)
    this.#colors = {
      accent: color('--accent'),
      own: color('--own'),
      violet: color('--violet'),
      ink: color('--ink-soft'),
      line: color('--line-strong'),
    }
    this.#simulation = forceSimulation<Node>()
      .force('charge', forceManyBody().strength(-900))
      .force('collide', forceCollide(44))
      .force('x', forceX(0).strength(0.06))
      .force('y', forceY(0).strength(0.2))
      .force('link', this.#links)
      .on('tick', () => this.#draw())
    this.#resized = new ResizeObserver(() => this.#draw())
    this.#resized.observe(canvas)
  }

  show(self: string, peers: readonly PeerRow[]): void {
    const shown = peers.slice(0, peersMax)
    const before = new Map(this.#nodes.map((node) => [node.id, node]))
    const center = { ...(before.get(self) ?? { id: self, x: 0, y: 0 }), peer: undefined }
    this.#nodes = [center, ...shown.map((peer) => ({ ...(before.get(peer.id) ?? {}), id: peer.id, peer }))]
    const isSame = before.size === this.#nodes.length && this.#nodes.every(({ id }) => before.has(id))
    this.#simulation.nodes(this.#nodes)
    const linked = this.#nodes.filter(({ peer }) => peer !== undefined && peer.connection !== 'none')
    this.#links.links(linked.map((target) => ({ source: center, target })))
    if (isSame) this.#draw()
    else this.#settle()
  }

  remove(): void {
    this.#resized.disconnect()
    this.#simulation.stop()
  }

  /** Lets new peers find their place: at once where motion is reduced, before the eye otherwise. */
  #settle(): void {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
      this.#simulation.stop().alpha(1).tick(200)
      this.#draw()
    } else this.#simulation.alpha(0.8).restart()
  }

  #draw(): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas
    const density = Math.min(2, devicePixelRatio)
    this.#canvas.width = Math.round(width * density)
    this.#canvas.height = Math.round(height * density)
    this.#context.setTransform(density, 0, 0, density, (width * density) / 2, (height * density) / 2)
    for (const link of this.#links.links()) this.#drawLink(link)
    for (const node of this.#nodes) this.#drawNode(node)
  }

  #drawLink({ source, target }: Link): void {
    const context = this.#context
    context.beginPath()
    context.setLineDash(target.peer?.connection === 'relayed' ? [3, 5] : [])
    context.moveTo(source.x ?? 0, source.y ?? 0)
    context.lineTo(target.x ?? 0, target.y ?? 0)
    context.strokeStyle = this.#colors.line
    context.lineWidth = 1.5
    context.stroke()
    context.setLineDash([])
  }

  #drawNode({ id, peer, x = 0, y = 0 }: Node): void {
    const context = this.#context
    context.beginPath()
    if (peer === undefined || peer.role === 'tab')
      context.arc(x, y, peer === undefined ? 11 : 8, 0, 2 * Math.PI)
    else if (peer.role === 'node') context.rect(x - 7, y - 7, 14, 14)
    else polygon(context, x, y, 10)
    const { own, accent, violet } = this.#colors
    context.fillStyle = peer === undefined ? own : peer.role === 'coordinator' ? violet : accent
    context.globalAlpha = peer?.connection === 'none' ? 0.35 : 1
    context.fill()
    context.fillStyle = this.#colors.ink
    context.font = `12px ${getComputedStyle(this.#canvas).fontFamily}`
    context.textAlign = 'center'
    context.fillText(peer === undefined ? 'this tab' : nickname(id), x, y + 24)
    context.globalAlpha = 1
  }
}

/** A diamond of `radius` around (`x`, `y`). */
function polygon(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.moveTo(x, y - radius)
  context.lineTo(x + radius, y)
  context.lineTo(x, y + radius)
  context.lineTo(x - radius, y)
  context.closePath()
}
