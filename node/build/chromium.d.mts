/** Types of chromium.mjs, for tests and benchmarks; the scripts in node/bin run before there is a compiler. */

/** Path of a Chromium on this machine, `undefined` where there is none. */
export function findChromium(): string | undefined
/** Installs Chromium with apt-get where it is missing and root or sudo allows it; else says what a person has to do. */
export function installChromiumIfNeeded(): Promise<void>
