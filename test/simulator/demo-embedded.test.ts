import { testWholeRound } from '../support/whole-round.ts';

testWholeRound('the embedded store', async () => ({}));
