/** Days and hours in which the tab may work. */

import type { Schedule } from '../governor/schedule.ts'
import { Field, Switch } from './fields.tsx'

export interface ScheduleFieldProps {
  schedule: Schedule
  onChange(schedule: Schedule): void
}

/** The week as it is read here, Monday first; the numbers are those of {@link Schedule.days}. */
const week: readonly (readonly [number, string])[] = [
  [1, 'Monday'],
  [2, 'Tuesday'],
  [3, 'Wednesday'],
  [4, 'Thursday'],
  [5, 'Friday'],
  [6, 'Saturday'],
  [0, 'Sunday'],
]

export function ScheduleField({ schedule, onChange }: ScheduleFieldProps) {
  const { isOn, days, fromMinute, toMinute } = schedule
  return (
    <div>
      <Switch
        name="Only at certain hours"
        help={isOn ? hoursHelp(schedule) : 'Works whenever this page is open.'}
        isOn={isOn}
        onChange={(on) => onChange({ ...schedule, isOn: on })}
      />
      {isOn && (
        <>
          <fieldset class="days">
            <legend>Days on which it begins</legend>
            {week.map(([day, name]) => (
              <label key={day}>
                <input
                  type="checkbox"
                  aria-label={name}
                  checked={days[day] === true}
                  onChange={() =>
                    onChange({ ...schedule, days: days.map((on, index) => (index === day ? !on : on)) })
                  }
                />
                <span aria-hidden="true">{name.slice(0, 2)}</span>
              </label>
            ))}
          </fieldset>
          <div class="hours">
            <TimeField
              name="From"
              minute={fromMinute}
              onChange={(minute) => onChange({ ...schedule, fromMinute: minute })}
            />
            <TimeField
              name="To"
              minute={toMinute}
              onChange={(minute) => onChange({ ...schedule, toMinute: minute })}
            />
          </div>
        </>
      )}
    </div>
  )
}

function hoursHelp({ fromMinute, toMinute }: Schedule): string {
  if (fromMinute === toMinute) return 'All day on the days below.'
  return fromMinute < toMinute
    ? 'On the days below, between these hours.'
    : 'Over midnight: it ends on the next day.'
}

function TimeField({
  name,
  minute,
  onChange,
}: {
  name: string
  minute: number
  onChange(minute: number): void
}) {
  const two = (value: number) => String(value).padStart(2, '0')
  return (
    <Field name={name} value="" help="">
      {(props) => (
        <input
          {...props}
          type="time"
          required
          value={`${two(Math.floor(minute / 60))}:${two(minute % 60)}`}
          onChange={(event) => {
            const [hours, minutes] = event.currentTarget.value.split(':').map(Number)
            if (hours !== undefined && minutes !== undefined) onChange(hours * 60 + minutes)
          }}
        />
      )}
    </Field>
  )
}
