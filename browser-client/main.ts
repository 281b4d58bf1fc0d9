/** The donor page's program: the page at once, and after the donor's click the peer. */

import { openPage } from './page/open-page.tsx'

openPage({ loadPeer: () => import('./start-donation.ts') })
