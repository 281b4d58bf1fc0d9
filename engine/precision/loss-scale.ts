/**
 * The factor by which a peer multiplies its loss before it goes backwards in float16, so that small gradients do not
 * vanish below 2^-24 (Micikevicius et al., "Mixed Precision Training", 2018, section 3.2).
 *
 * It is found by trying: halved when a gradient comes out that is not finite, doubled when none has for a while.
 * Gradients are divided by it in float32 before anybody sees them, so it is this peer's own affair: two peers with
 * different ones agree, and it is neither averaged nor sent. It is always a power of two, by which a product is exact.
 */

/** As torch.amp.GradScaler has it: near the top of what half holds, to be halved a few times in the first steps. */
const start = 2 ** 16

/** Good runs before it is doubled: Micikevicius' number, and GradScaler's. One run in 2,000 is then done twice. */
const goodRunsToGrow = 2_000

/** Beyond this (Apex's bound) nothing is gained: 2^-24 times it is far below what float32 gradients mean. */
const max = 2 ** 24

/** Below this it is not the scale that makes gradients overflow. */
const min = 1

export class LossScale {
  #value = start
  #goodRuns = 0

  /** A power of two, 1 to 2^24. */
  get value(): number {
    return this.#value
  }

  /** A run gave finite gradients. */
  succeeded(): void {
    this.#goodRuns += 1
    if (this.#goodRuns < goodRunsToGrow) return
    this.#goodRuns = 0
    this.#value = Math.min(2 * this.#value, max)
  }

  /** A run gave gradients that are not finite. False when there is nothing left to halve. */
  overflowed(): boolean {
    this.#goodRuns = 0
    if (this.#value === min) return false
    this.#value /= 2
    return true
  }

  /** As at the start of a run. */
  reset(): void {
    this.#value = start
    this.#goodRuns = 0
  }
}
