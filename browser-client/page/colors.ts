/** Colours of the stylesheet for what is drawn on a canvas, which knows no custom properties. */

/** The colour that `--name` has at `element`, as `rgb(…)`, in the theme of the moment. */
export function resolvedColor(element: HTMLElement, name: `--${string}`): string {
  const before = element.style.color
  element.style.color = `var(${name})`
  const color = getComputedStyle(element).color
  element.style.color = before
  return color
}
