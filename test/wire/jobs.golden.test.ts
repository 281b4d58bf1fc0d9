import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SwarmError } from '../../protocols/core/errors.ts'
import { frameBytesMax, gossipBytesMax } from '../../protocols/core/limits.ts'
import { createManifest } from '../../protocols/jobs/manifest.ts'
import {
  decodeAnnounce,
  decodeRequest,
  decodeResponse,
  decodeRunMessage,
  encodeAnnounce,
  encodeProgress,
  encodeRequest,
  encodeResponse,
  encodeStatement,
  type Progress,
  type Request,
  type Response,
} from '../../protocols/jobs/messages.ts'
import { openStatement, sealManifest, sealStatement } from '../../protocols/jobs/signed.ts'
import { statementKind } from '../../protocols/jobs/statement.ts'
import { coordinatorKey, created, manifestInit, ownerId, ownerKey, root } from '../unit/jobs/example.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const progress: Progress = {
  round: 3,
  root,
  weight: 96,
  phase: 'training',
  loss: 1.5,
  isLossNotFinite: false,
  samplesTrained: 32,
  samplesPerSecond: 250.5,
  uploadedBytes: 10,
  downloadedBytes: 20,
  at: created,
}
const summary = {
  job: root,
  name: 'glyphs-cnn',
  owner: ownerId,
  status: 'open',
  created,
  expires: created + 1,
  round: 0,
  peers: 0,
} as const
const envelope = Uint8Array.of(1, 2, 3)

const requests: Request[] = [
  { kind: 1 },
  { kind: 2, job: root },
  { kind: 3, envelope },
  { kind: 4, job: root },
  { kind: 5, envelope },
]
const responses: Response[] = [
  { kind: 1, jobs: [summary] },
  { kind: 2, envelope },
  { kind: 3, details: { envelope, progress: [{ peer: ownerId, ...progress }], statements: [envelope] } },
  { kind: 4, job: root },
  { kind: 5, code: 'NOT_FOUND', message: 'no such job' },
]

describe('the bytes that peers of other versions rely on', () => {
  test('of gossip about jobs', () => {
    expect(hex(encodeAnnounce(envelope))).toMatchInlineSnapshot(`"a2646b696e640168656e76656c6f706543010203"`)
    expect(hex(encodeProgress(progress))).toMatchInlineSnapshot(
      `"a2646b696e64016870726f6772657373ab6261741b0000019b76daa800646c6f7373fb3ff800000000000064726f6f74783b6261666b726569667a6a7574337465376e6879656b6b6c737332376e68336b37327973636f377933326b6f616f356565693636776f6633366e356565706861736568747261696e696e6765726f756e64036677656967687418606d75706c6f6164656442797465730a6e73616d706c6573547261696e656418206f646f776e6c6f616465644279746573146f69734c6f73734e6f7446696e697465f47073616d706c65735065725365636f6e64fb406f500000000000"`,
    )
    expect(hex(encodeStatement(envelope))).toMatchInlineSnapshot(`"a2646b696e640268656e76656c6f706543010203"`)
  })

  test('of requests and responses', () => {
    expect(requests.map((request) => hex(encodeRequest(request)))).toMatchInlineSnapshot(`
      [
        "a1646b696e6401",
        "a2636a6f62783b6261666b726569667a6a7574337465376e6879656b6b6c737332376e68336b37327973636f377933326b6f616f356565693636776f6633366e3565646b696e6402",
        "a2646b696e640368656e76656c6f706543010203",
        "a2636a6f62783b6261666b726569667a6a7574337465376e6879656b6b6c737332376e68336b37327973636f377933326b6f616f356565693636776f6633366e3565646b696e6404",
        "a2646b696e640568656e76656c6f706543010203",
      ]
    `)
    expect(responses.map((response) => hex(encodeResponse(response)))).toMatchInlineSnapshot(`
      [
        "a2646a6f627381a8636a6f62783b6261666b726569667a6a7574337465376e6879656b6b6c737332376e68336b37327973636f377933326b6f616f356565693636776f6633366e3565646e616d656a676c797068732d636e6e656f776e65727834313244334b6f6f574b3939566f56784e4537587a79427758457a573778684b37477076383572394633563366794b53554b5048356570656572730065726f756e640066737461747573646f70656e67637265617465641b0000019b76daa80067657870697265731b0000019b76daa801646b696e6401",
        "a2646b696e640268656e76656c6f706543010203",
        "a2646b696e64036764657461696c73a368656e76656c6f7065430102036870726f677265737381ac6261741b0000019b76daa800646c6f7373fb3ff800000000000064706565727834313244334b6f6f574b3939566f56784e4537587a79427758457a573778684b37477076383572394633563366794b53554b50483564726f6f74783b6261666b726569667a6a7574337465376e6879656b6b6c737332376e68336b37327973636f377933326b6f616f356565693636776f6633366e356565706861736568747261696e696e6765726f756e64036677656967687418606d75706c6f6164656442797465730a6e73616d706c6573547261696e656418206f646f776e6c6f616465644279746573146f69734c6f73734e6f7446696e697465f47073616d706c65735065725365636f6e64fb406f5000000000006a73746174656d656e74738143010203",
        "a2636a6f62783b6261666b726569667a6a7574337465376e6879656b6b6c737332376e68336b37327973636f377933326b6f616f356565693636776f6633366e3565646b696e6404",
        "a364636f6465694e4f545f464f554e44646b696e6405676d6573736167656b6e6f2073756368206a6f62",
      ]
    `)
  })

  test('of a signed manifest, its id, and a signed verdict', async () => {
    const { job, envelope: sealed } = await sealManifest(createManifest(manifestInit()), ownerKey)
    expect(job).toMatchInlineSnapshot(`"bafyreidnhigvstsdhe2u7ujve3ywh6h4q6c63k5e63rh77oc422hmjqcie"`)
    expect(hex(sealed)).toMatchInlineSnapshot(
      `"0a24080112208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c12142f737461726c696e672f6d616e69666573742f311a9507ae6176016464617461a763636964783b6261666b726569667a6a7574337465376e6879656b6b6c737332376e68336b37327973636f377933326b6f616f356565693636776f6633366e3565646b696e6466696d616765736562797465731a00a7d8c067636c61737365730a6a747261696e436f756e74192ee06b73616d706c65536861706582181c181c6f76616c69646174696f6e436f756e741907d0646e616d656a676c797068732d636e6e656d6f64656ca363636964783b6261666b726569667a6a7574337465376e6879656b6b6c737332376e68336b37327973636f377933326b6f616f356565693636776f6633366e3565646c6f737375736f66746d61785f63726f73735f656e74726f70796562797465731a0001a1f8656e6f6e6365480102030405060708656f776e65727834313244334b6f6f574b3939566f56784e4537587a79427758457a573778684b37477076383572394633563366794b53554b50483565737761726da365636f64656364696e7438656f75746572a3646b696e64686e65737465726f76686d6f6d656e74756dfb3feccccccccccccd6c6c6561726e696e675261746501686d696e50656572730365747261696eab64736565640165626574617382fb3feccccccccccccdfb3feff7ced916872b67657073696c6f6efb3e45798ee2308c3a687363686564756c6568636f6e7374616e7469626174636853697a651820696f7074696d697a6572656164616d776a6c6f63616c5374657073086b7761726d75705374657073006b7765696768744465636179fb3f847ae147ae147b6c6c6561726e696e6752617465fb3f689374bc6a7efa6f6d696e4c6561726e696e675261746500666c696d697473a16d646f776e6c6f616442797465731a00a97ab867637265617465641b0000019b76daa80067657870697265731b0000019b771196806b636f6e76657267656e6365a8646d6f6465636d6178666d65747269636c76616c5f616363757261637966746172676574fb3fef0a3d70a3d70a686d696e44656c7461fb3f50624dd2f1a9fc6870617469656e63650a696d6178526f756e647318c86a6d61784d696e757465730a6d6576616c756174654576657279026b6465736372697074696f6e781854656e2067656e65726174656420636861726163746572736c636f6f7264696e61746f7273817834313244334b6f6f574a576f61715a6844616f454673684637526831627059396f68696846687a6357366436394c72324e415375712a402e87f9a5953c9f5cb96c6bf04d25de122a09ecada256a4e5058e17749ded039bb79d1a42b34102d5d0d544dbb76ffb4a239b0baa4c4fe969a1e37513087aac0f"`,
    )
    const verdict = {
      kind: statementKind.verdict,
      job,
      at: created,
      verdict: 'converged',
      reason: 'on target',
      state: { round: 3, root },
      value: 0.98,
      rounds: 3,
    } as const
    const said = await sealStatement(verdict, coordinatorKey)
    expect(hex(said.envelope)).toMatchInlineSnapshot(
      `"0a24080112208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39412152f737461726c696e672f73746174656d656e742f311ade01a86261741b0000019b76daa800636a6f62783b62616679726569646e68696776737473646865327537756a76653379776836683471366336336b35653633726837376f63343232686d6a71636965646b696e6402657374617465a264726f6f74783b6261666b726569667a6a7574337465376e6879656b6b6c737332376e68336b37327973636f377933326b6f616f356565693636776f6633366e356565726f756e64036576616c7565fb3fef5c28f5c28f5c66726561736f6e696f6e2074617267657466726f756e647303677665726469637469636f6e7665726765642a4051894675a1ddb8a8580f3535e4b5d8ae6fb2d6b9ac28378a84981fbdbbb3a69f2f5978da38a0cf7f94e0c7502918bdc0021c995fbddbeebc3f4f30a6463a630b"`,
    )
    expect((await openStatement(said.envelope)).statement).toEqual(verdict)
  })
})

describe('a message about jobs', () => {
  test('comes back as it was', () => {
    expect(decodeAnnounce(encodeAnnounce(envelope))).toEqual(envelope)
    expect(decodeRunMessage(encodeProgress(progress))).toEqual({ kind: 1, progress })
    expect(decodeRunMessage(encodeStatement(envelope))).toEqual({ kind: 2, envelope })
    for (const request of requests) expect(decodeRequest(encodeRequest(request))).toEqual(request)
    for (const response of responses) expect(decodeResponse(encodeResponse(response))).toEqual(response)
  })

  test('over its limit is refused before it is decoded', () => {
    const cases: [(bytes: Uint8Array) => unknown, number][] = [
      [decodeAnnounce, gossipBytesMax],
      [decodeRunMessage, gossipBytesMax],
      [decodeRequest, gossipBytesMax],
      [decodeResponse, frameBytesMax],
    ]
    for (const [decode, bytesMax] of cases) {
      const code = (length: number) => {
        try {
          decode(new Uint8Array(length))
        } catch (error) {
          return (error as SwarmError).code
        }
        return 'none'
      }
      expect(code(bytesMax)).toBe('MESSAGE_INVALID')
      expect(code(bytesMax + 1)).toBe('MESSAGE_TOO_LARGE')
    }
  })

  test('with any byte changed, cut off or made up decodes to another message or gives a coded error', () => {
    const samples: [Uint8Array, (bytes: Uint8Array) => unknown][] = [
      [encodeAnnounce(envelope), decodeAnnounce],
      [encodeProgress(progress), decodeRunMessage],
      ...requests.map(
        (request) => [encodeRequest(request), decodeRequest] as [Uint8Array, typeof decodeRequest],
      ),
      ...responses.map(
        (response) => [encodeResponse(response), decodeResponse] as [Uint8Array, typeof decodeResponse],
      ),
    ]
    const survives = (decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array) => {
      try {
        decode(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(SwarmError)
      }
    }
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.nat(),
        (sample, at, flip, cut) => {
          const [bytes, decode] = sample
          const mutated = bytes.slice(0, bytes.length - (cut % 3 === 0 ? cut % bytes.length : 0))
          if (mutated.length > 0) mutated[at % mutated.length]! ^= flip
          survives(decode, mutated)
        },
      ),
      { numRuns: 2000 },
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => survives(decodeRunMessage, bytes)))
  })
})
