/**
 * Every bound of the protocols in one place, each with its reason. A limit that two peers must share is part of the
 * protocol version: changing it means a new protocol id.
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

/** Peers of one row. Beyond this a peer's links grow past what a browser tab can hold; rows and columns take over. */
export const rowPeersMax = 32

/** Bytes of one gossiped message. HELLO with eight addresses is under 2 KiB; 16 KiB leaves room, and bounds a flood. */
export const gossipBytesMax = 1 << 14

/** A HELLO record is forgotten after this long without a newer one (hivemind's metadata expiry). */
export const helloExpiryMs = 60_000

/** How often a peer repeats its HELLO: four may be lost before it is forgotten. */
export const helloIntervalMs = 12_000

/** Parameters of one model: 1 G f32 is 4 GiB, the most one ArrayBuffer of a 64-bit browser holds. */
export const parametersMax = 1 << 30

/** Bytes of one job's manifest. A full one is under 2 KiB; it travels signed inside one gossiped message. */
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

/** Links opened by peers that nobody here asked for yet, kept unread. Two rows' worth; the oldest goes first. */
export const parkedLinksMax = 2 * rowPeersMax

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
