/**
 * Parts that the page loads when they are wanted: the chart, the picture of the peers, the QR code. By then its server
 * may be gone, while the run goes on; such a part stays empty, and what it draws is said in words beside it.
 */

/** Calls `use` with what `loading` brings; not at all when that cannot be loaded. */
export function whenLoaded<Module>(loading: Promise<Module>, use: (module: Module) => void): void {
  void loading.then(use, () => {})
}
