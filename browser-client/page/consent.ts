/**
 * Whom the donor agreed to give to, and to which terms.
 *
 * Consent is per owner and per version of the terms: a new owner, or a page that asks for more than before, is asked
 * about again. It only changes the wording of the question ("Resume?"): nothing ever starts without a click.
 */

import type { Kept } from './kept.ts'

/** Raise it whenever the offer asks for something that it did not ask for before. */
export const termsVersion = 1

/**
 * Owners remembered; the longest unused is forgotten first. Nobody gives to more than this, and a page must not grow.
 */
const ownersMax = 50

export interface Consent {
  /** Peer id of the owner. */
  owner: string
  terms: number
  /** When it was last given, milliseconds since 1970. */
  givenMs: number
}

/** The consent that holds for `owner` under today's terms; `undefined` when there is none. */
export function consentFor(kept: Kept, owner: string): Consent | undefined {
  return consents(kept).find((consent) => consent.owner === owner && consent.terms === termsVersion)
}

/** Remembers that the donor agreed, just now. */
export function giveConsent(kept: Kept, owner: string, nowMs: number): void {
  const others = consents(kept).filter((consent) => consent.owner !== owner)
  kept.write('consent', [{ owner, terms: termsVersion, givenMs: nowMs }, ...others].slice(0, ownersMax))
}

/** Takes the consent for `owner` back. */
export function withdrawConsent(kept: Kept, owner: string): void {
  kept.write(
    'consent',
    consents(kept).filter((consent) => consent.owner !== owner),
  )
}

function consents(kept: Kept): Consent[] {
  const value = kept.read('consent')
  return Array.isArray(value) ? value.filter(isConsent) : []
}

function isConsent(value: unknown): value is Consent {
  const { owner, terms, givenMs } = (value ?? {}) as Record<string, unknown>
  return typeof owner === 'string' && typeof terms === 'number' && typeof givenMs === 'number'
}
