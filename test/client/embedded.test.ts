import { describeClient } from './behaviour.ts';
import { describeWithToken } from './with-token.ts';

describeClient('the embedded store', () => ({}));
describeWithToken('the embedded store', () => ({}));
