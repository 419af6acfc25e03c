import { join } from 'node:path';
import { EmbeddedStore } from '../../src/store/embedded.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { describeStoreContract } from './contract.ts';

describeStoreContract('the embedded store', {
  instances: 1,
  async setup({ merchants: _, ...options }) {
    const folder = await GuardedFolder.make('embedded-');
    return {
      async open(events) {
        const store = new EmbeddedStore({ directory: join(folder.path, 'tokens'), ...options });
        await store.open(events);
        return store;
      },
      remove: () => folder.remove(),
    };
  },
});
