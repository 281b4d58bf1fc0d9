/**
 * What the donor decides about the work in this tab: each with a plain word on what it does. A setting is kept and
 * obeyed the moment it changes; there is no Save.
 */

import { dataCapBytesRange, dutyCycleMin } from '../governor/settings.ts'
import { Field, Switch } from './fields.tsx'
import { bytes, percent, plural } from './format.ts'
import type { PartProps } from './part-props.ts'
import { ScheduleField } from './schedule-field.tsx'

export interface SettingsProps extends PartProps {
  sensors: { hasBattery: boolean; hasPressure: boolean }
}

export function SettingsSection({ page, sensors }: SettingsProps) {
  const { settings } = page.governor.value
  return (
    <section class="card settings" aria-labelledby="settings">
      <h2 id="settings">How much, and when</h2>
      <div class="fields">
        <HowMuch page={page} />
        <div>
          {sensors.hasBattery && (
            <Switch
              name="Pause on battery"
              help="Works only while the computer is plugged in."
              isOn={settings.pausesOnBattery}
              onChange={(pausesOnBattery) => page.change({ pausesOnBattery })}
            />
          )}
          {sensors.hasPressure && (
            <Switch
              name="Make way when the computer is busy or hot"
              help="Takes less and less, down to a tenth, and comes back slowly."
              isOn={settings.backsOff}
              onChange={(backsOff) => page.change({ backsOff })}
            />
          )}
          <Switch
            name="Go on in the background"
            help="Works also while you look at another tab."
            isOn={settings.runsHidden}
            onChange={(runsHidden) => page.change({ runsHidden })}
          />
        </div>
        <div>
          <ScheduleField schedule={settings.schedule} onChange={(schedule) => page.change({ schedule })} />
          <DataCap page={page} />
          <Switch
            name="Keep the screen on"
            help="While this tab works and is in sight. Your computer then does not go to sleep by itself."
            isOn={settings.keepsAwake}
            onChange={(keepsAwake) => page.change({ keepsAwake })}
          />
        </div>
      </div>
      <p class="quiet">
        Kept in this browser only.{' '}
        <button type="button" class="link" onClick={() => page.resetSettings()}>
          Back to the defaults
        </button>
      </p>
    </section>
  )
}

function HowMuch({ page }: PartProps) {
  const { settings } = page.governor.value
  const { dutyCycle, threads } = settings
  return (
    <div>
      <Field name="Share of the time" value={percent(dutyCycle)} help={shareHelp(dutyCycle)}>
        {(props) => (
          <input
            {...props}
            type="range"
            min={dutyCycleMin}
            max="1"
            step="0.05"
            value={dutyCycle}
            aria-valuetext={percent(dutyCycle)}
            onInput={(event) => page.change({ dutyCycle: event.currentTarget.valueAsNumber })}
          />
        )}
      </Field>
      <Field
        name="Processor threads"
        value={`${threads} of ${page.cores}`}
        help="Fewer leave more of the processor to you. A change prepares the model anew, within a round."
      >
        {(props) => (
          <input
            {...props}
            type="range"
            min="1"
            max={page.cores}
            step="1"
            value={threads}
            aria-valuetext={plural(threads, 'thread')}
            onInput={(event) => page.change({ threads: event.currentTarget.valueAsNumber })}
          />
        )}
      </Field>
      <Switch
        name="Use the graphics card"
        help="Where the browser has WebGPU, and it is faster at this model than the processor."
        isOn={settings.mayUseGpu}
        onChange={(mayUseGpu) => page.change({ mayUseGpu })}
      />
    </div>
  )
}

function shareHelp(dutyCycle: number): string {
  if (dutyCycle >= 1) return 'Works without pauses.'
  return `For each second of work it rests ${(1 / dutyCycle - 1).toFixed(1)} seconds.`
}

const megabyte = 1e6

/** What a cap starts as when it is switched on. */
const firstCapBytes = 1e9

function DataCap({ page }: PartProps) {
  const { dataDay, settings } = page.governor.value
  const { dataCapBytes } = settings
  const [least, most] = dataCapBytesRange
  return (
    <>
      <Switch
        name="Limit the data of a day"
        help={`Sent and received together; ${bytes(dataDay.bytes)} today. Close to the limit updates are made smaller; at it, work pauses until midnight.`}
        isOn={dataCapBytes !== null}
        onChange={(isOn) => page.change({ dataCapBytes: isOn ? firstCapBytes : null })}
      />
      {dataCapBytes !== null && (
        <Field name="Megabytes a day" value="" help="">
          {(props) => (
            <input
              {...props}
              type="number"
              min={least / megabyte}
              max={most / megabyte}
              step="10"
              value={dataCapBytes / megabyte}
              onChange={(event) => {
                const asked = event.currentTarget.valueAsNumber * megabyte
                page.change({ dataCapBytes: Math.min(most, Math.max(least, asked || least)) })
              }}
            />
          )}
        </Field>
      )}
    </>
  )
}
