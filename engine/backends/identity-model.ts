/**
 * The graph `y = Identity(x)` for float32 tensors of any shape: x is declared without one. Reading a tensor back from a
 * device, and trying whether a backend runs at all, need nothing more.
 *
 * Written out in bytes, so that a backend depends on no ONNX writer. A ModelProto, with the field numbers of
 * onnx.proto.
 */

/** ONNX, operator set 18. Nobody writes to it. */
export const identityModel: Uint8Array = fromHex(`
  08 08                                           ir_version 8
  3a 2c                                           graph
    0a 10  0a 01 78  12 01 79                       node, input x, output y
           22 08 49 64 65 6e 74 69 74 79              operator Identity
    12 08  73 74 61 72 6c 69 6e 67                  name starling
    5a 09  0a 01 78  12 04 0a 02 08 01              input x, a tensor of float32
    62 03  0a 01 79                                 output y
  42 02  10 12                                    operator set 18
`)

/** The bytes of a dump: pairs of digits first on each line, words after them. */
function fromHex(dump: string): Uint8Array {
  const pairs = dump
    .split('\n')
    .flatMap((line) => /^\s*((?:[0-9a-f]{2} +|[0-9a-f]{2}$)*)/.exec(line)![1]!.match(/\S+/g) ?? [])
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16))
}
