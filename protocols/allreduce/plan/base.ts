/** What a round starts from, as the state record names it. */
export interface RoundBase {
  round: number
  /** Root of the state that the round starts from. */
  root: string
  /** The peers that hold that state by agreement, sorted; empty before the run's first agreement. */
  electorate: readonly string[]
}
