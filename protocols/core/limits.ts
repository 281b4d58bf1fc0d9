/**
 * The bounds that two rooms or two peers share, each with its reason; one that a single file needs stands there. A limit
 * that two peers must share is part of the protocol version: changing it means a new protocol id.
 */

/** Bytes of one content-addressed block. Kubo and Helia serve raw leaves of 1 MiB too, so a gateway stays possible. */
export const blockBytesMax = 1 << 20

/** f32 elements of one part: 256 KiB in f32, small enough to pipeline, large enough that framing costs under 0.1 %. */
export const partElements = 1 << 16

/**
 * Bytes of one frame on any Starling stream. The largest is a block (1 MiB) with its envelope; 64 KiB are room for the
 * envelope's own fields.
 */
export const frameBytesMax = blockBytesMax + (1 << 16)

/**
 * Peers of one row when it is the only one. Beyond this a full mesh grows past what a browser tab can hold: rows and
 * columns.
 */
export const rowPeersMax = 32

/** Peers of one run: the square of 100, whose grid gives each peer 198 links. */
export const runPeersMax = 10_000

/**
 * Links that a member of a grid wants: its row and column in the largest run, and two. Chromium stops at 500 peer
 * connections and counts those that it has not yet collected, so a tab can change nearly all of its links at once.
 * Guests wait when there are no more.
 */
export const linksMax = 200

/**
 * Peers that decide a round when there are several rows. Odd, so that no half is a tie; and of 31 drawn by hash, half
 * are lost in one round in a thousand years when one peer in 200 dies each minute.
 */
export const councilPeers = 31

/**
 * Messages of one round kept for passing on while a peer does not yet hold its state: every councillor's vote, and some
 * rivals' words.
 */
export const heldForPassingMax = 4 * councilPeers

/**
 * Bytes of one signature under a word that is passed on: Ed25519's (RFC 8032, section 5.1.6). Identities have no other
 * keys.
 */
export const signatureBytes = 64

/**
 * Words of one relay that their speakers did not sign, in one round: after these nothing that it passes on is looked at
 * until the next. Each costs about a millisecond of a core to find out; a relay of the same version that tells the
 * truth has none.
 */
export const forgedWordsMax = 16

/** Bytes of one gossiped message. HELLO with eight addresses is under 2 KiB; 16 KiB leaves room, and bounds a flood. */
export const gossipBytesMax = 1 << 14

/**
 * Bytes of one frame of gossip. The answer to a peer that is in nobody's mesh holds all that was said in some seconds,
 * in one frame: 10,000 peers that say HELLO every 12 s come to 2.4 MB. A longer one ends the stream of gossip with
 * whoever sent it, for good.
 */
export const gossipFrameBytesMax = 1 << 22

/** A HELLO record is forgotten after this long without a newer one (hivemind's metadata expiry). */
export const helloExpiryMs = 60_000

/** How often a peer repeats its HELLO: four may be lost before it is forgotten. */
export const helloIntervalMs = 12_000

/** Parameters of one model: 1 G f32 is 4 GiB, the most one ArrayBuffer of a 64-bit browser holds. */
export const parametersMax = 1 << 30

/** Local steps of one round: ten times what any published run takes between two averages. */
export const localStepsMax = 10_000

/**
 * Bytes of one job's manifest. One with every name and pattern at its longest is under 8 KiB, a usual one under 2; it
 * travels signed inside one gossiped message.
 */
export const manifestBytesMax = 1 << 13

/** Bytes of one job's model, and of its data: what a browser tab can be asked to fetch and keep in one sitting. */
export const jobBytesMax = 2 ** 31

/** A manifest ends at most this long after it was made: the 30 days a run may last, and a day to find peers. */
export const jobLifetimeMsMax = 31 * 24 * 3_600_000

/**
 * Bytes waiting on one link: 256 parts in f32, so a round's share of a 100 M parameter model can queue while the peer
 * reads; more than that for one peer would let a single slow reader fill a browser tab.
 */
export const linkQueueBytesMax = 64 << 20

/** A link whose peer takes no byte for this long is dropped. A hidden tab wakes at least once a minute. */
export const linkStallMs = 60_000

/**
 * An end of a link that had nothing to say for this long says an empty frame. A member of the largest grid has 198 links:
 * a hundred frames a second, some 7 KB.
 */
export const pulseMs = 2_000

/**
 * A link over which no byte came for this long is silent. The pause between two pulses, and what a home router may hold
 * back beside them: five seconds and one to spare. It is also what 64 KiB, which come as one piece, take on a thirtieth of
 * 2 Mbit/s: a row's contributor sends to as many at a time.
 */
export const silentMs = 8_000

/** Links opened by peers that nobody here asked for yet, kept unread. Two rows' worth; the oldest goes first. */
export const parkedLinksMax = 2 * rowPeersMax

/**
 * Fields of one sample, the labels among them: recommenders have the most inputs, and the 26 features of Criteo's with
 * the dense ones and the labels are 28.
 */
export const dataFieldsMax = 32

/** Distinct characters of a text data set: all of Unicode's first plane, and its index still fits one block. */
export const vocabularyMax = 1 << 16

/** Peers of one run whose progress a coordinator keeps: the simulator's largest swarm, at about 1 KiB each 10 MiB. */
export const peerReportsMax = 10_000

/** States that a coordinator remembers each peer to have named: a slow evaluation may take as long as a few of them. */
export const milestonesPerPeerMax = 8

/** A peer whose progress is not repeated for this long no longer counts in a majority: as long as its HELLO is kept. */
export const reportExpiryMs = helloExpiryMs

/** CIDs of one want or have: 64 fit 4 KiB, and a peer answers a whole message before it reads the next. */
export const wantCidsMax = 64

/** Blocks wanted at one time by one peer; what a fetch asks beyond that waits. 4,096 blocks are 4 GiB. */
export const wantedBlocksMax = 4_096

/** Bytes of one file moved as blocks: all parameters of the largest model in f32. */
export const fileBytesMax = 4 * parametersMax

/** Parts of one update: a model at `parametersMax`. Their digests, 32 bytes each, still fit one frame (512 KiB). */
export const partsMax = parametersMax / partElements

/**
 * Samples behind one update in one round. With `updateMagnitudeMax` and a full row the f32 sum of weight times value
 * stays below 3.2e35, so it cannot overflow.
 */
export const roundWeightMax = 1e9

/** Largest absolute value in an update; a model whose update reaches it has diverged long before. */
export const updateMagnitudeMax = 1e25

/** Committed rounds whose results a peer keeps, to serve those that missed the end of one. */
export const roundsKept = 2

/**
 * Parts that one peer asks for at the same time when it lacks results: 2 MiB in f32, two round trips at 100 Mbit/s and
 * 100 ms.
 */
export const wantsInFlightMax = 8

/** Highest number of an attempt at a round: far below 2^53, from where on adding one to a double changes nothing. */
export const attemptsMax = 2 ** 48

/**
 * Attempts by which a ballot may pass all that this peer knows of: one every ten seconds for a day. So nobody comes near
 * the last one: it would take 10^10 messages.
 */
export const attemptsAheadMax = 10_000

/** Rounds of one run: one a second for 30 days is 2.6 million. */
export const roundsMax = 1 << 24

/** Characters of a peer id or of a state's root, as text: an RSA key's id has 46, a CID 59 to 62. */
export const idCharactersMax = 128

/**
 * Calls that wait for one compute worker. A peer awaits training, with an evaluation beside it; sixteen is a caller's
 * bug.
 */
export const computeCallsMax = 16

/**
 * Times that one task is begun anew on the same backend after its device was lost. A driver that resets, or a laptop
 * that changes between two graphics processors, does it once; one that does it again will do it for ever.
 */
export const deviceLossesMax = 1

/**
 * Elements of one constant that is computed while a model is imported: 256 MiB in f32. Causal masks and rotary tables
 * of exported models have at most 2^24 (4,096 positions squared).
 */
export const foldedElementsMax = 1 << 26

/**
 * Elements up to which one constant may be computed from another in the same round of folding, its size not known yet.
 */
export const foldedUnseenMax = 1 << 20

/**
 * Bytes of all constants that are computed while a model is imported: sixteen tables of 2^24 float32. While they are
 * computed, they and their copies take some four times as much.
 */
export const foldedBytesMax = 1 << 30

/**
 * Operations that computing all constants of a model may take while it is imported: a second in registers, half a minute
 * where each moves memory. The masks and rotary tables of 4,096 positions take a quarter of it at most (2^24 elements
 * through sixteen nodes).
 */
export const foldedOperationsMax = 1 << 30

/**
 * Nodes of one model's graph. The largest published exports (GPT-2 XL, unoptimised) have about 10,000; bounds time and
 * memory of import.
 */
export const graphNodesMax = 100_000

/** Calls inside each other of functions that a model file brings along; PyTorch's exporter needed four. */
export const functionDepthMax = 32

/**
 * Turns of one loop of a model: each is a copy of its body; a bag for each of 4,096 samples is one batch of a
 * recommender.
 */
export const loopTurnsMax = 4_096

/**
 * Nodes of loops' bodies that taking all loops of a model apart may look at: a thousand nodes, most the same in every
 * turn, at `loopTurnsMax`. Bounds loops inside loops that leave nothing behind: some ten seconds.
 */
export const unrolledNodesMax = 1 << 22

/** Members of all lists that a model's nodes make: one that a loop fills, with each of `loopTurnsMax` lengths. */
export const sequenceMembersMax = 1 << 23

/**
 * Looks at nodes while types and constants are found, round by round: GPT-2 XL (10,000 nodes, a few hundred rounds)
 * takes some 4 million. A file made to learn one thing in each round is a minute's work.
 */
export const resolvingLooksMax = 1 << 25

/** Elements of one value of a training graph: 4 GiB in f32, all that WebAssembly can address. */
export const valueElementsMax = 1 << 30

/** Dimensions of one tensor: onnxruntime's own kernels stop at 8 or below. */
export const tensorRankMax = 8

/** Peers of one row in one list of a plan: a row that gives updates, and as many again that join or watch. */
export const planPeersMax = 2 * rowPeersMax

/** Bytes of a signed manifest or statement: the manifest, a public key, a signature and their tags. */
export const envelopeBytesMax = manifestBytesMax + 512

/** Jobs that one peer keeps track of. A list of them fits a frame many times over; nobody can choose from more. */
export const jobsMax = 64

/** Open jobs of one owner among them: half, so that no single key fills a list, and a sweep over settings fits. */
export const jobsOfOwnerMax = jobsMax / 2

/**
 * How long an open job that nobody trains keeps its place when another wants it: nodes that are there take up a job
 * within seconds, and people who were asked to help have read their mail.
 */
export const jobWaitingMsMax = 3_600_000

/** Evaluations kept for one job; older ones are dropped. A curve of 512 points is all that a screen shows. */
export const evaluationsMax = 512

/** Peers whose progress one answer about a job lists: at about 300 bytes each a quarter of a frame. */
export const shownPeersMax = 1024

/**
 * Messages whose signature is being checked at one time. Beyond it the flood is dropped; gossip repeats what matters.
 */
export const jobsCheckingMax = 64

/**
 * Questions about jobs that are answered at one time: a peer that asks nothing keeps its place for `jobsAnswerMs`, and
 * libp2p lets one open 32 streams. So eight such peers still leave room for others.
 */
export const jobsAnsweringMax = 256

/** How long an answer about jobs may take: three round trips over a relay from another continent, and a slow phone. */
export const jobsAnswerMs = 10_000

/** How often a peer compares its list of jobs with another's, so that a lost announcement is made up for. */
export const jobsCompareMs = 10_000

/** How far the clock of an owner may be ahead of ours. Home computers are rarely off by more than a minute or two. */
export const jobClockSkewMsMax = 10 * 60_000

/** Peers remembered from their HELLOs: as many as the largest run has, at 2 KiB each. */
export const knownPeersMax = 10_000

/** Characters of a link to a donor page: a page's address, a job's id and three multiaddrs are under 700. */
export const linkLengthMax = 2_048

/** Addresses in one HELLO: IPv4 and IPv6, TCP and WebSockets, on two networks. */
export const helloAddressesMax = 8

/**
 * How far the clock of a peer may be off ours. Home computers can be minutes wrong; hours would let old HELLOs be
 * played back.
 */
export const helloClockSkewMsMax = 5 * 60_000

/**
 * Bytes that a step may take in a tab, by estimate: phones end a tab that takes two, and WebAssembly's memory ends at
 * four.
 */
export const tabStepBytesMax = 1 << 30

/**
 * Bytes of blocks that one browser keeps for all jobs together: two of the largest, a twentieth of a small laptop's
 * disk.
 */
export const tabStoreBytesMax = 2 * jobBytesMax

/**
 * Bytes of models and data sets that one process keeps on its disk for jobs to come: two of the largest jobs. What the
 * jobs at hand need stays beyond it.
 */
export const nodeStoreBytesMax = 4 * jobBytesMax
