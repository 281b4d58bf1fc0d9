import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import { describe, expect, test } from 'vitest'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { envelopeBytesMax, manifestBytesMax } from '../../../protocols/core/limits.ts'
import { createManifest, decodeManifest, encodeManifest, jobIdOf } from '../../../protocols/jobs/manifest.ts'
import { openManifest, openStatement, sealManifest, sealStatement } from '../../../protocols/jobs/signed.ts'
import { type Statement, statementKind } from '../../../protocols/jobs/statement.ts'
import { coordinatorKey, created, manifestInit, ownerId, ownerKey, root, strangerKey } from './example.ts'

const manifest = createManifest(manifestInit())
/** A CID whose hash has 1,000 bytes, as no SHA-256 has. */
const longCid = CID.createV1(raw.code, createDigest(sha256.code, new Uint8Array(1_000))).toString()
const stop: Statement = { kind: statementKind.stop, job: root, at: created, reason: 'enough' }

/** `manifest` with the value at `path` replaced, encoded; `undefined` removes the key. */
function changed(path: string, value: unknown): Uint8Array {
  const copy = structuredClone(manifest) as Record<string, unknown>
  const keys = path.split('.')
  const parent = keys.slice(0, -1).reduce((object, key) => object[key] as Record<string, unknown>, copy)
  if (value === undefined) delete parent[keys.at(-1)!]
  else parent[keys.at(-1)!] = value
  return dagCbor.encode(copy)
}

describe('a manifest', () => {
  test('comes back as it was, and its bytes alone decide its id', async () => {
    const bytes = encodeManifest(manifest)
    expect(decodeManifest(bytes)).toEqual(manifest)
    expect(await jobIdOf(bytes)).toBe(await jobIdOf(encodeManifest(createManifest(manifestInit()))))
    const other = createManifest(manifestInit({ nonce: Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1) }))
    expect(await jobIdOf(encodeManifest(other))).not.toBe(await jobIdOf(bytes))
  })

  test('gets the plain mean as outer optimizer for sparse updates, which momentum would harm', () => {
    const swarm = { minPeers: 3, codec: 'topk' } as const
    expect(createManifest(manifestInit({ swarm })).swarm.outer).toEqual({ kind: 'plain', learningRate: 1 })
    const outer = { kind: 'nesterov', learningRate: 0.7, momentum: 0.9 } as const
    const withOuter = (more: object) => () =>
      createManifest(manifestInit({ swarm: { ...swarm, outer, ...more } }))
    expect(withOuter({})).toThrow(
      /swarm.outer has momentum, which harms where topk sends 1.6 % of the values/,
    )
    expect(withOuter({ topkKept: 81 })).toThrow(/sends 2.0 %/)
    expect(withOuter({ topkKept: 82 })).not.toThrow()
    expect(withOuter({ codec: 'int4', topkKept: 82 })).toThrow(/swarm.topk_kept has no use with codec int4/)
    expect(withOuter({ codec: 'int8', slowCodec: 'int4' })).not.toThrow()
    expect(withOuter({ codec: 'int4', slowCodec: 'int8' })).toThrow(
      /swarm.slow_codec int8 is not coarser than codec int4/,
    )
    const { train } = manifestInit()
    expect(() => createManifest(manifestInit({ swarm, train: { ...train, localSteps: 1 } }))).toThrow(
      /swarm.codec topk with local_steps 1 needs optimizer sgd without momentum/,
    )
  })

  test('gets Nesterov’s outer optimizer for several local steps, and none for one', () => {
    expect(manifest.swarm.outer).toEqual({ kind: 'nesterov', learningRate: 1, momentum: 0.9 })
    const init = manifestInit()
    expect(createManifest({ ...init, train: { ...init.train, localSteps: 1 } }).swarm).toEqual({
      minPeers: 3,
      codec: 'int8',
    })
  })

  test('of the greatest length that its limits allow still fits its envelope', async () => {
    const init = manifestInit({
      name: 'n'.repeat(64),
      description: '🦆'.repeat(250),
      nonce: new Uint8Array(32),
    })
    const coordinators = new Array(8).fill(init.coordinators[0])
    const { envelope } = await sealManifest(createManifest({ ...init, coordinators }), ownerKey)
    expect(envelope.length).toBeLessThan(envelopeBytesMax)
  })

  test('is refused, with the key named, when any of its values is out of place', () => {
    const cases: [path: string, value: unknown, reason: RegExp][] = [
      ['v', 2, /v must be 1, not 2/],
      ['surprise', 1, /surprise is not a known key/],
      ['train.surprise', 1, /train.surprise is not a known key/],
      ['nonce', undefined, /nonce is missing/],
      ['train.seed', undefined, /canonical/],
      ['owner', 'me', /owner must be a peer id, not "me"/],
      ['coordinators', [], /coordinators must be a list of at least 1/],
      ['coordinators', new Array(9).fill(ownerId), /coordinators must be a list of at most 8/],
      ['model.cid', 'bafy', /model.cid must be a CID/],
      ['model.cid', root.toUpperCase(), /model.cid must be a CID/],
      ['model.cid', longCid, /model.cid must be a CID/],
      ['model.bytes', 0, /model.bytes must be at least 1/],
      ['model.bytes', 2 ** 31 + 1, /model.bytes must be at most 2147483648/],
      ['data.sampleShape', [1, 1, 1, 1, 1], /data.sample_shape must be a list of at most 4/],
      ['model.bytes', 2n ** 60n, /model.bytes must be a number, not 1152921504606846976/],
      ['train.learningRate', 0, /train.learning_rate must be above 0, not 0/],
      ['train.optimizer', 'adagrad', /train.optimizer must be sgd, adamw, adafactor, lion or muon/],
      ['train.optimizer', 'adafactor', /train/],
      ['swarm.outer', undefined, /swarm.outer is missing/],
      ['swarm.codec', 'int3', /swarm.codec must be f32, f16, int8, int4 or topk/],
      ['convergence.mode', 'min', /convergence.mode must be max for val_accuracy/],
      ['limits.downloadBytes', 11_106_999, /limits.download_bytes 11106999 is less than/],
      ['expires', created, /expires is not after created/],
      ['expires', created + 31 * 24 * 3_600_000 + 1, /more than 2678400000 ms/],
      ['nonce', new Uint8Array(7), /nonce must be 8 to 32 bytes/],
    ]
    for (const [path, value, reason] of cases) {
      const bytes = changed(path, value)
      expect(() => decodeManifest(bytes), path).toThrow(reason)
      expect(() => decodeManifest(bytes), path).toThrow(expect.objectContaining({ code: 'JOB_INVALID' }))
    }
    expect(() => decodeManifest(new Uint8Array(manifestBytesMax + 1))).toThrow(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
    )
  })

  test('with any byte changed gives another job or a coded error, and never hangs', async () => {
    const bytes = encodeManifest(manifest)
    const id = await jobIdOf(bytes)
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (index, flip) => {
        const mutated = bytes.slice()
        mutated[index]! ^= flip
        try {
          expect(await jobIdOf(encodeManifest(decodeManifest(mutated)))).not.toBe(id)
        } catch (error) {
          expect(error).toBeInstanceOf(SwarmError)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('a signature', () => {
  test('opens to the job and the signer', async () => {
    const sealed = await sealManifest(manifest, ownerKey)
    expect(await openManifest(sealed.envelope)).toEqual(sealed)
    const said = await sealStatement(stop, ownerKey)
    expect(await openStatement(said.envelope)).toEqual({
      statement: stop,
      signer: ownerId,
      envelope: said.envelope,
    })
  })

  test('by anybody but the owner is refused, when sealing and when opening', async () => {
    await expect(sealManifest(manifest, strangerKey)).rejects.toMatchObject({ code: 'REFUSED' })
    const theirs = await sealManifest(
      createManifest(manifestInit({ owner: (await sealStatement(stop, strangerKey)).signer })),
      strangerKey,
    )
    // the stranger's signature over a manifest that names the owner: payload swapped in by hand
    const { RecordEnvelope } = await import('@libp2p/peer-record')
    const envelope = RecordEnvelope.createFromProtobuf(theirs.envelope)
    envelope.payload = encodeManifest(manifest)
    envelope.marshaled = undefined
    await expect(openManifest(envelope.marshal())).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
    const record = {
      domain: 'starling-jobs',
      codec: new TextEncoder().encode('/starling/manifest/1'),
      marshal: () => encodeManifest(manifest),
      equals: () => false,
    }
    const resigned = await RecordEnvelope.seal(record, strangerKey)
    await expect(openManifest(resigned.marshal())).rejects.toThrow(/names .* as its owner, but .* signed it/)
  })

  test('on one kind of payload does not open as another', async () => {
    const said = await sealStatement(stop, ownerKey)
    await expect(openManifest(said.envelope)).rejects.toThrow(
      /holds "\/starling\/statement\/1", not a manifest/,
    )
    const sealed = await sealManifest(manifest, ownerKey)
    await expect(openStatement(sealed.envelope)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
  })

  test('survives no change of what was signed', async () => {
    const { job, envelope } = await sealManifest(manifest, ownerKey)
    let refusals = 0
    await fc.assert(
      fc.asyncProperty(fc.nat(envelope.length - 1), fc.integer({ min: 1, max: 255 }), async (index, flip) => {
        const mutated = envelope.slice()
        mutated[index]! ^= flip
        const result = await openManifest(mutated).catch((error: unknown) => error)
        // protobuf can write one envelope in several ways; then it still says the same
        if (!(result instanceof SwarmError)) expect(result).toMatchObject({ job, manifest })
        else refusals++
      }),
      { numRuns: 300 },
    )
    expect(refusals).toBeGreaterThan(290)
    await expect(openManifest(new Uint8Array(envelopeBytesMax + 1))).rejects.toMatchObject({
      code: 'MESSAGE_TOO_LARGE',
    })
  })

  test('covers a statement that keeps its schema', async () => {
    const bad = { ...stop, reason: 'x'.repeat(501) }
    await expect(openStatement((await sealStatement(bad, coordinatorKey)).envelope)).rejects.toMatchObject({
      code: 'MESSAGE_INVALID',
    })
  })
})
