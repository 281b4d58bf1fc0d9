/**
 * The form of a setting: its name, its value, its control and a sentence on what it does, tied together for screen
 * readers.
 */

import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

/** What ties a control to its name and its help. */
export interface ControlProps {
  id: string
  'aria-describedby': string
}

export interface FieldProps {
  name: string
  /** The value in words, for the eye: the control says it itself. Empty where the control also shows it. */
  value: string
  help: string
  children(props: ControlProps): ComponentChildren
}

/** A control with a value: a slider, a number. */
export function Field({ name, value, help, children }: FieldProps) {
  const id = useId()
  return (
    <div class="field">
      <p class="field-head">
        <label for={id}>{name}</label>
        <span class="figure" aria-hidden="true">
          {value}
        </span>
      </p>
      {children({ id, 'aria-describedby': `${id}-help` })}
      <p id={`${id}-help`} class="help">
        {help}
      </p>
    </div>
  )
}

export interface SwitchProps {
  name: string
  help: string
  isOn: boolean
  onChange(isOn: boolean): void
}

/** Something that is on or off. */
export function Switch({ name, help, isOn, onChange }: SwitchProps) {
  const id = useId()
  return (
    <div class="field switch">
      <input
        id={id}
        type="checkbox"
        role="switch"
        aria-checked={isOn}
        checked={isOn}
        aria-describedby={`${id}-help`}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <label for={id}>{name}</label>
      <p id={`${id}-help`} class="help">
        {help}
      </p>
    </div>
  )
}
