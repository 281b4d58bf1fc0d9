/**
 * Signatures: manifests and statements inside libp2p's signed envelopes (libp2p/specs, RFC 0002).
 *
 *     envelope (protobuf) = { public key, payload type, payload (dag-cbor), signature over domain + type + payload }
 *
 * The domain keeps a signature from being taken for one of another protocol, the payload type tells our two payloads
 * apart. An envelope opens only if the signature is right and the payload passes its schema; that the signer is also
 * the one who may say it is the machine's business, except for a manifest, which names its owner.
 */

import type { PrivateKey, Record as SignedRecord } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { RecordEnvelope } from '@libp2p/peer-record'
import { SwarmError } from '../core/errors.ts'
import { envelopeBytesMax } from '../core/limits.ts'
import { decodeMessage, encodeMessage } from '../wire/message.ts'
import { decodeManifest, encodeManifest, jobIdOf, type Manifest } from './manifest.ts'
import { type Statement, statementSchema } from './statement.ts'

/** A manifest whose signature is its owner's. */
export interface SignedJob {
  /** The job's id: CID of the manifest's bytes. */
  job: string
  manifest: Manifest
  /** What was signed, to pass on. */
  envelope: Uint8Array
}

/** A statement with whoever signed it. */
export interface SignedStatement<Said extends Statement = Statement> {
  statement: Said
  /** Peer id. */
  signer: string
  /** What was signed, to pass on. */
  envelope: Uint8Array
}

const domain = 'starling-jobs'
const payloadTypes = { manifest: '/starling/manifest/1', statement: '/starling/statement/1' } as const
type PayloadType = keyof typeof payloadTypes

/**
 * Signs `manifest` with its owner's key.
 * @throws {SwarmError} REFUSED when `privateKey` is not the owner's.
 */
export async function sealManifest(manifest: Manifest, privateKey: PrivateKey): Promise<SignedJob> {
  const signer = peerIdFromPublicKey(privateKey.publicKey).toString()
  if (signer !== manifest.owner) {
    throw new SwarmError(
      'REFUSED',
      `the manifest names ${manifest.owner} as its owner, the key is ${signer}'s`,
      {
        hint: 'Sign it with the identity that launches the job.',
      },
    )
  }
  const payload = encodeManifest(manifest)
  return { job: await jobIdOf(payload), manifest, envelope: await seal('manifest', payload, privateKey) }
}

/**
 * Opens a manifest from anybody. Whether it is still valid today is not checked here.
 * @throws {SwarmError} MESSAGE_TOO_LARGE; SIGNATURE_INVALID when it is unsigned, changed, or signed by somebody other
 * than its owner; JOB_INVALID when the signed manifest breaks a rule.
 */
export async function openManifest(envelope: Uint8Array): Promise<SignedJob> {
  const { payload, signer } = await open('manifest', envelope)
  const manifest = decodeManifest(payload)
  if (manifest.owner !== signer) {
    throw new SwarmError(
      'SIGNATURE_INVALID',
      `job "${manifest.name}" names ${manifest.owner} as its owner, but ${signer} signed it`,
    )
  }
  return { job: await jobIdOf(payload), manifest, envelope }
}

/** Signs `statement`. */
export async function sealStatement<Said extends Statement>(
  statement: Said,
  privateKey: PrivateKey,
): Promise<SignedStatement<Said>> {
  return {
    statement,
    signer: peerIdFromPublicKey(privateKey.publicKey).toString(),
    envelope: await seal('statement', encodeMessage(statement), privateKey),
  }
}

/**
 * Opens a statement from anybody. Whether its signer may make it is not checked here.
 * @throws {SwarmError} MESSAGE_TOO_LARGE; SIGNATURE_INVALID; MESSAGE_INVALID when the signed statement breaks its
 * schema.
 */
export async function openStatement(envelope: Uint8Array): Promise<SignedStatement> {
  const { payload, signer } = await open('statement', envelope)
  const statement = decodeMessage(payload, {
    schema: statementSchema,
    bytesMax: envelopeBytesMax,
    what: 'a signed statement',
  })
  return { statement, signer, envelope }
}

async function seal(type: PayloadType, payload: Uint8Array, privateKey: PrivateKey): Promise<Uint8Array> {
  const record: SignedRecord = {
    domain,
    codec: new TextEncoder().encode(payloadTypes[type]),
    marshal: () => payload,
    equals: (other) => other === record,
  }
  return (await RecordEnvelope.seal(record, privateKey)).marshal()
}

async function open(type: PayloadType, bytes: Uint8Array): Promise<{ payload: Uint8Array; signer: string }> {
  if (bytes.length > envelopeBytesMax) {
    throw new SwarmError(
      'MESSAGE_TOO_LARGE',
      `a signed ${type} of ${bytes.length} bytes is over ${envelopeBytesMax}`,
    )
  }
  let envelope: RecordEnvelope
  try {
    envelope = await RecordEnvelope.openAndCertify(bytes, domain)
  } catch (cause) {
    throw new SwarmError('SIGNATURE_INVALID', `a ${type} is not signed, or was changed after signing`, {
      cause,
    })
  }
  const found = new TextDecoder().decode(envelope.payloadType)
  if (found !== payloadTypes[type]) {
    throw new SwarmError(
      'SIGNATURE_INVALID',
      `an envelope holds ${JSON.stringify(found.slice(0, 40))}, not a ${type}`,
    )
  }
  return { payload: envelope.payload, signer: peerIdFromPublicKey(envelope.publicKey).toString() }
}
