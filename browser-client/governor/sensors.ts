/**
 * What the browser tells about the machine, as events for the governor. Thin: each sensor is a few lines, and one that
 * a browser lacks stays silent, so its rule never says no.
 *
 *     Battery Status API   navigator.getBattery       Chromium only
 *     Compute Pressure     PressureObserver           Chromium only
 *     Page Visibility      document.hidden            everywhere
 *     Network Information  navigator.connection       Chromium only
 */

import type { GovernorEvent } from './machine.ts'
import type { PressureLevel } from './pressure.ts'

interface BatteryManager extends EventTarget {
  charging: boolean
}

interface PressureObserver {
  observe(source: 'cpu', options: { sampleInterval: number }): Promise<void>
  disconnect(): void
}

/** The parts of `window` that TypeScript's library does not know. */
interface Device {
  navigator: {
    getBattery?: () => Promise<BatteryManager>
    connection?: EventTarget & { saveData?: boolean; type?: string }
  }
  PressureObserver?: new (
    callback: (records: readonly { state: PressureLevel }[]) => void,
  ) => PressureObserver
}

/** Two seconds: the ladder of pressure.ts thinks in tens of them. */
const pressureIntervalMs = 2000

type Report = (event: GovernorEvent) => void

/** Which sensors this browser has: settings that need one are not shown without it. */
export function sensorsOf(window: Window): { hasBattery: boolean; hasPressure: boolean } {
  const device = window as unknown as Device
  return {
    hasBattery: device.navigator.getBattery !== undefined,
    hasPressure: device.PressureObserver !== undefined,
  }
}

/** Reports what the machine does, now and at every change, until `signal` aborts. */
export function watchDevice(window: Window, report: Report, { signal }: { signal: AbortSignal }): void {
  const device = window as unknown as Device
  watchVisibility(window.document, report, signal)
  watchConnection(device, report, signal)
  watchPressure(device, report, signal)
  void watchBattery(device, report, signal)
}

function watchVisibility(document: Document, report: Report, signal: AbortSignal): void {
  const tell = () => report({ kind: 'visibility', isHidden: document.hidden })
  document.addEventListener('visibilitychange', tell, { signal })
  tell()
}

function watchConnection({ navigator: { connection } }: Device, report: Report, signal: AbortSignal): void {
  if (connection === undefined) return
  const tell = () =>
    report({ kind: 'connection', isMetered: connection.saveData === true || connection.type === 'cellular' })
  connection.addEventListener('change', tell, { signal })
  tell()
}

function watchPressure({ PressureObserver }: Device, report: Report, signal: AbortSignal): void {
  if (PressureObserver === undefined) return
  const observer = new PressureObserver((records) => {
    const state = records.at(-1)?.state
    if (state !== undefined) report({ kind: 'pressure', level: state })
  })
  // refused by a permissions policy, or by a system that does not measure: as if the browser had no such sensor
  observer.observe('cpu', { sampleInterval: pressureIntervalMs }).catch(() => observer.disconnect())
  signal.addEventListener('abort', () => observer.disconnect(), { once: true })
}

async function watchBattery({ navigator }: Device, report: Report, signal: AbortSignal): Promise<void> {
  const battery = await navigator.getBattery?.().catch(() => undefined)
  if (battery === undefined || signal.aborted) return
  const tell = () => report({ kind: 'battery', isOnBattery: !battery.charging })
  battery.addEventListener('chargingchange', tell, { signal })
  tell()
}
