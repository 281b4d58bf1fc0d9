/** Windows whose places are data, in the reference interpreter: one output element at a time. */
import { at, build, indicesOf, type Nd, type Plain } from './reference-array.ts'
import type { Operator } from './reference-elementwise.ts'

const list = (attributes: Plain, name: string, otherwise: readonly number[]) =>
  (attributes[name] as readonly number[] | undefined) ?? otherwise

/** The bilinear mean around (y, x), where the image goes on with zeros. */
function bilinear(image: Nd, lead: readonly number[], y: number, x: number): number {
  let total = 0
  for (const row of [Math.floor(y), Math.floor(y) + 1]) {
    for (const column of [Math.floor(x), Math.floor(x) + 1]) {
      const isInside = row >= 0 && row < image.shape[2]! && column >= 0 && column < image.shape[3]!
      const share = (1 - Math.abs(y - row)) * (1 - Math.abs(x - column))
      if (isInside) total += share * at(image, [...lead, row, column])
    }
  }
  return total
}

const deformConv: Operator = ([x, w, offsets, bias, mask], attributes) => {
  const [, channels] = x!.shape as [number, number]
  const [outputs, perGroup, rows, columns] = w!.shape as [number, number, number, number]
  const [strides, dilations] = [list(attributes, 'strides', [1, 1]), list(attributes, 'dilations', [1, 1])]
  const pads = list(attributes, 'pads', [0, 0, 0, 0])
  const group = Number(attributes.group ?? 1)
  const perOffset = channels / Number(attributes.offset_group ?? 1)
  const shape = [x!.shape[0]!, outputs, ...offsets!.shape.slice(2)]
  return build(shape, ([n, o, i, j]) => {
    const firstChannel = Math.floor(o! / (outputs / group)) * perGroup
    let total = bias?.data[o!] ?? 0
    for (const [c, row, column] of indicesOf([perGroup, rows, columns]) as Iterable<
      [number, number, number]
    >) {
      const channel = firstChannel + c
      const tap = Math.floor(channel / perOffset) * rows * columns + row * columns + column
      const moved = (axis: number) => at(offsets!, [n!, 2 * tap + axis, i!, j!])
      const y = i! * strides[0]! - pads[0]! + row * dilations[0]! + moved(0)
      const z = j! * strides[1]! - pads[1]! + column * dilations[1]! + moved(1)
      const share = mask === undefined ? 1 : at(mask, [n!, tap, i!, j!])
      total += share * at(w!, [o!, c, row, column]) * bilinear(x!, [n!, channel], y, z)
    }
    return total
  })
}

const maxRoiPool: Operator = ([x, boxes], attributes) => {
  const bins = attributes.pooled_shape as readonly number[]
  const scale = Number(attributes.spatial_scale ?? 1)
  return build([boxes!.shape[0]!, x!.shape[1]!, ...bins], ([region, c, ...bin]) => {
    const box = [0, 1, 2, 3, 4].map((column) => at(boxes!, [region!, column]))
    const [x1, y1, x2, y2] = box.slice(1).map((edge) => Math.round(edge * scale)) as [
      number,
      number,
      number,
      number,
    ]
    const ends = [
      [y1, y2],
      [x1, x2],
    ].map(([low, high], axis) => {
      const extent = Math.max(high! - low! + 1, 1)
      const clip = (place: number) => Math.min(Math.max(place + low!, 0), x!.shape[axis + 2]!)
      const from = clip(Math.floor((bin[axis]! * extent) / bins[axis]!))
      const to = clip(Math.ceil(((bin[axis]! + 1) * extent) / bins[axis]!))
      return Array.from({ length: Math.max(0, to - from) }, (_, place) => from + place)
    })
    const values = ends[0]!.flatMap((row) => ends[1]!.map((column) => at(x!, [box[0]!, c!, row, column])))
    return values.length === 0 ? 0 : Math.max(...values)
  })
}

export const deformed: Readonly<Record<string, Operator>> = { DeformConv: deformConv, MaxRoiPool: maxRoiPool }
