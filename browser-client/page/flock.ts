/**
 * The murmuration above the page: the run, as birds. A pure simulation; drawing is flock-canvas.tsx.
 *
 *     each other peer   a small group that flies around a focus of its own while the swarm trains
 *     averaging         all foci move to one: the flock draws together
 *     this tab          its birds sit on the wire while nothing runs here, and join the others while it does
 *
 * Birds follow Reynolds' three rules (Flocks, Herds, and Schools, SIGGRAPH 1987): keep apart, fly as your neighbours
 * do, stay with your group. All pairs are looked at: with {@link birdsMax} birds that is under a millisecond a step.
 */

import type { Random } from '../../protocols/core/random.ts'

/** Birds of this tab, and of each other peer. */
const ownBirds = 12
const birdsPerPeer = 26

/** More would cost the donor what the model should get, and look no more like a flock. */
const birdsMax = 240

/** What the birds are told. Lengths are CSS pixels. */
export interface FlockScene {
  width: number
  height: number
  /** Peers of the run besides this tab. */
  others: number
  isOwnFlying: boolean
  /** True while the swarm averages. */
  isGathering: boolean
}

export interface Bird {
  x: number
  y: number
  /** Pixels a second. */
  vx: number
  vy: number
  /** 0 for this tab, from 1 for the others. */
  group: number
  /** Where in its wing beat it is, radians. */
  beat: number
  /** How near it flies to whoever looks, 0.6 to 1. */
  nearness: number
  /** Sits on the wire. */
  isPerched: boolean
}

/** From this width on there is sky beside the words; on a phone only above them, for fewer birds. */
const wideSky = 800

const speedMin = 40
const speedMax = 95
/** Pixels within which a bird sees its neighbours, and within which they are too near. */
const sight = 46
const tooNear = 10

/** Height of the wire at `x`, above the first card's edge: it sags a little, as wires do. */
export function wireY(x: number, { width, height }: Pick<FlockScene, 'width' | 'height'>): number {
  const across = x / width
  return height - 64 + 4 * 9 * across * (1 - across)
}

export class Flock {
  readonly birds: Bird[] = []
  readonly #random: Random
  #seconds = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** Lets `seconds` pass, at most a tenth: after a longer pause birds must not jump through each other. */
  step(scene: FlockScene, seconds: number): void {
    const elapsed = Math.min(0.1, seconds)
    this.#seconds += elapsed
    this.#populate(scene)
    for (const [index, bird] of this.birds.entries()) {
      if (bird.group === 0 && !scene.isOwnFlying) this.#perch(bird, index, scene, elapsed)
      else this.#fly(bird, scene, elapsed)
    }
  }

  /** As many birds as the scene has peers; new ones come from beyond the edge. */
  #populate({ width, height, others }: FlockScene): void {
    const room = Math.min(1, width / wideSky)
    const wanted = ownBirds + Math.floor(room * room * Math.min(birdsMax - ownBirds, birdsPerPeer * others))
    this.birds.length = Math.min(this.birds.length, wanted)
    while (this.birds.length < wanted) {
      const index = this.birds.length
      const isOwn = index < ownBirds
      this.birds.push({
        x: isOwn ? width * this.#random.next() : width * (this.#random.next() < 0.5 ? -0.05 : 1.05),
        y: height * (0.15 + 0.5 * this.#random.next()),
        vx: speedMin,
        vy: 0,
        group: 0,
        beat: this.#random.next() * 2 * Math.PI,
        nearness: isOwn ? 1 : 0.6 + 0.4 * this.#random.next(),
        isPerched: false,
      })
    }
    for (let index = ownBirds; index < wanted; index++)
      this.birds[index]!.group = 1 + ((index - ownBirds) % others)
  }

  /** Flies to the bird's own place on the wire, and stays. */
  #perch(bird: Bird, index: number, scene: FlockScene, seconds: number): void {
    const first = scene.width * (scene.width >= wideSky ? 0.62 : 0.46)
    const x = first + Math.max(14, scene.width * 0.024) * (index + 0.3 * Math.sin(index * 5))
    const [dx, dy] = [x - bird.x, wireY(x, scene) - bird.y]
    const distance = Math.hypot(dx, dy)
    if (distance < 2) {
      Object.assign(bird, { x, y: wireY(x, scene), vx: 0, vy: 0, isPerched: true })
      return
    }
    const speed = Math.min(speedMax, 12 + distance * 1.6)
    Object.assign(bird, { vx: (dx / distance) * speed, vy: (dy / distance) * speed, isPerched: false })
    move(bird, seconds)
  }

  #fly(bird: Bird, scene: FlockScene, seconds: number): void {
    if (bird.isPerched)
      Object.assign(bird, { isPerched: false, vx: 30 - 60 * this.#random.next(), vy: -speedMax })
    let [ax, ay] = this.#toFocus(bird, scene)
    let [sumVx, sumVy, neighbours] = [0, 0, 0]
    for (const other of this.birds) {
      if (other === bird || other.isPerched) continue
      const [dx, dy] = [bird.x - other.x, bird.y - other.y]
      if (dx > sight || dx < -sight || dy > sight || dy < -sight) continue
      const distance = Math.hypot(dx, dy) || 1
      if (distance > sight) continue
      neighbours++
      sumVx += other.vx
      sumVy += other.vy
      if (distance < tooNear) {
        ax += (dx / distance) * (tooNear - distance) * 24
        ay += (dy / distance) * (tooNear - distance) * 24
      }
    }
    if (neighbours > 0) {
      ax += (sumVx / neighbours - bird.vx) * 1.4
      ay += (sumVy / neighbours - bird.vy) * 1.4
    }
    bird.vx += ax * seconds
    bird.vy += ay * seconds
    const speed = Math.hypot(bird.vx, bird.vy) || 1
    const held = Math.min(speedMax, Math.max(speedMin, speed)) / speed
    bird.vx *= held
    bird.vy *= held
    move(bird, seconds)
  }

  /**
   * The pull towards the focus of the bird's group. Foci wander on Lissajous curves, and meet while the swarm averages.
   */
  #toFocus({ x, y, group, nearness }: Bird, { width, height, isGathering }: FlockScene): [number, number] {
    const time = this.#seconds
    const spread = isGathering ? 0.1 : 1
    const [across, down] = [
      Math.sin(time * 0.21 + group * 2.4) * spread + 0.12 * Math.sin(time * 0.5),
      Math.sin(time * 0.31 + group * 1.7) * spread + 0.12 * Math.cos(time * 0.43),
    ]
    const sky = skyOf(width)
    const [focusX, focusY] = [width * (sky.x + sky.reachX * across), height * (sky.y + sky.reachY * down)]
    const pull = (isGathering ? 1.5 : 0.8) * nearness
    // a flat sky holds them flatter
    const flatness = width >= wideSky ? 1.6 : 5
    return [(focusX - x) * pull, (focusY - y) * pull * flatness]
  }
}

/** Where the words leave the sky free, in shares of the scene: right of them on a desk, above them on a phone. */
function skyOf(width: number): { x: number; y: number; reachX: number; reachY: number } {
  const isBeside = width >= wideSky
  return isBeside
    ? { x: 0.7, y: 0.4, reachX: 0.2, reachY: 0.2 }
    : { x: 0.55, y: 0.3, reachX: 0.25, reachY: 0.04 }
}

function move(bird: Bird, seconds: number): void {
  bird.x += bird.vx * seconds
  bird.y += bird.vy * seconds
  bird.beat += seconds * (9 + Math.max(0, -bird.vy) * 0.08)
}
