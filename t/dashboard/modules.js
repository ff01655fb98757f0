/* `require` for npm packages: unlike import it also looks where NODE_PATH says, so that the packages
 * may be installed outside of a read-only source tree. */
import { createRequire } from 'node:module';

export const require = createRequire(import.meta.url);
