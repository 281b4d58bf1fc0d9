/** What every part of the page may read and call. */

import type { DonorPage } from './donor-page.ts'

export interface PartProps {
  page: DonorPage
}
