/**
 * What a donor sets about the work in this tab, with the defaults of a polite guest.
 *
 * Settings are kept in the browser and come back as anything: {@link decodeSettings} takes each field that is in its
 * range and the default for each that is not, because a donor should not lose nine settings over one.
 */

import { alwaysOpen, decodeSchedule, type Schedule } from './schedule.ts'

export interface GovernorSettings {
  /** Share of the time in which kernels may run, {@link dutyCycleMin} to 1. */
  dutyCycle: number
  /** Threads of the WASM backend, 1 to the machine's logical processors. */
  threads: number
  mayUseGpu: boolean
  pausesOnBattery: boolean
  /** Whether work goes on while the tab is in the background. */
  runsHidden: boolean
  /** Whether work becomes less while the machine is hot or busy with something else. */
  backsOff: boolean
  /** Bytes that may be sent and received on one day of the donor's calendar; `null` for no cap. */
  dataCapBytes: number | null
  schedule: Schedule
  /** Whether the screen is kept on while the tab works and is in sight. */
  keepsAwake: boolean
}

/** Below one twentieth the pauses grow so long that other peers take the tab for gone. */
export const dutyCycleMin = 0.05

/** A cap under 10 MB would not hold one model; 1 TB a day is more than any home line moves. */
export const dataCapBytesRange = [10e6, 1e12] as const

/**
 * Half of the processor, half of the time, never on battery: a donor should not notice the tab before asking more of
 * it. `cores`: the machine's logical processors, 1 or more.
 */
export function defaultSettings(cores: number): GovernorSettings {
  return {
    dutyCycle: 0.5,
    threads: Math.max(1, Math.floor(cores / 2)),
    mayUseGpu: true,
    pausesOnBattery: true,
    runsHidden: true,
    backsOff: true,
    dataCapBytes: null,
    schedule: alwaysOpen,
    keepsAwake: false,
  }
}

/** Settings from storage, field by field; see the header. `cores`: the machine's logical processors. */
export function decodeSettings(value: unknown, cores: number): GovernorSettings {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const defaults = defaultSettings(cores)
  const flag = (name: 'mayUseGpu' | 'pausesOnBattery' | 'runsHidden' | 'backsOff' | 'keepsAwake') => {
    const found = fields[name]
    return typeof found === 'boolean' ? found : defaults[name]
  }
  const { dutyCycle, threads, dataCapBytes } = fields
  return {
    dutyCycle: isWithin(dutyCycle, dutyCycleMin, 1) ? dutyCycle : defaults.dutyCycle,
    threads: isWithin(threads, 1, cores) && Number.isInteger(threads) ? threads : defaults.threads,
    mayUseGpu: flag('mayUseGpu'),
    pausesOnBattery: flag('pausesOnBattery'),
    runsHidden: flag('runsHidden'),
    backsOff: flag('backsOff'),
    dataCapBytes: isWithin(dataCapBytes, ...dataCapBytesRange) ? dataCapBytes : defaults.dataCapBytes,
    schedule: decodeSchedule(fields.schedule) ?? defaults.schedule,
    keepsAwake: flag('keepsAwake'),
  }
}

function isWithin(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && value >= min && value <= max
}
