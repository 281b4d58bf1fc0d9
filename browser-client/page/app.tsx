/** The page from top to bottom, for each stage of a donation. What each part says is in a file of its own. */

import { About } from './about.tsx'
import { Banner } from './banner.tsx'
import { Contribution } from './contribution.tsx'
import { Controls } from './controls.tsx'
import { EndScreen } from './end-screen.tsx'
import { FailureScreen } from './failure-screen.tsx'
import { LogSection } from './log-section.tsx'
import { LossSection } from './loss-section.tsx'
import { Masthead } from './masthead.tsx'
import { Offer } from './offer.tsx'
import type { PartProps } from './part-props.ts'
import { PeersSection } from './peers-section.tsx'
import { SettingsSection } from './settings-section.tsx'
import { Share } from './share.tsx'
import type { Look } from './theme.ts'

export interface AppProps extends PartProps {
  look: Look
  /** Settings that need a sensor are shown only where there is one. */
  sensors: { hasBattery: boolean; hasPressure: boolean }
  /** Name of this build: a hash of its files. */
  build: string
}

export function App({ page, look, sensors, build }: AppProps) {
  const { kind } = page.stage.value
  return (
    <>
      <Masthead page={page} look={look} />
      <main class={`stage-${kind}`}>
        {kind === 'looking' && <p class="card quiet">Asking what this link is about …</p>}
        {kind === 'offered' && <Offer page={page} />}
        {kind === 'offered' && <SettingsSection page={page} sensors={sensors} />}
        {kind === 'giving' && <Giving page={page} look={look} sensors={sensors} />}
        {kind === 'over' && <EndScreen page={page} look={look} />}
        {kind === 'failed' && <FailureScreen page={page} />}
        {page.log.value.length > 0 && <LogSection page={page} />}
      </main>
      <footer>
        <p>
          Starling, build <code>{build}</code>. Everything on this page came from <code>{location.host}</code>
          , and nothing was asked of anyone else before you pressed Start.
        </p>
      </footer>
    </>
  )
}

function Giving({ page, look, sensors }: Omit<AppProps, 'build'>) {
  return (
    <>
      <div class="top">
        <Banner page={page} />
        <Controls page={page} />
      </div>
      <div class={page.staleness.value === null ? 'fresh-parts' : 'stale fresh-parts'}>
        <Contribution page={page} />
        <LossSection page={page} look={look} />
        <PeersSection page={page} look={look} />
      </div>
      <div class="side">
        <About page={page} />
        <SettingsSection page={page} sensors={sensors} />
        <Share />
      </div>
    </>
  )
}
