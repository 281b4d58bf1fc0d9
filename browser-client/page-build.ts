/** Which build this page is of. */

/** The hash over the files of the build, which the bundler writes into the document. */
export function pageBuild(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="build"]')?.content ?? 'unnamed'
}
