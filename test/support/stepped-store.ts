/** A store around a real one. A test can pause it at certain points, and control its hints. */
import type { ClaimAnswer, ClaimRequest, Hint, PutAnswer, ReadAnswer, StoreEvents } from '../../src/store/contract.ts';
import { ForwardingStore } from '../../src/store/forwarding.ts';
import type { Claim, NewToken, TokenQuery } from '../../src/token.ts';

/** `before`: before the store decides. `after`: after its decision, before the answer. */
export type Point = 'read begins' | 'read ends' | 'claim begins' | 'claim ends' | 'put begins' | 'put ends';

export class SteppedStore extends ForwardingStore {
  /** The operation goes on when this resolves. `subject` is the claim id or the query's text. */
  onPoint: (point: Point, subject: string) => Promise<void> | void = () => {};
  /** What happens to a hint. */
  onHint: (hint: Hint, deliver: (hint: Hint) => void) => void = (hint, deliver) => deliver(hint);
  /** Number of `undo` calls. */
  undone = 0;

  override open(events: StoreEvents): Promise<void> {
    return super.open({ ...events, onHint: (hint) => this.onHint(hint, (given) => events.onHint(given)) });
  }

  override async put(token: NewToken): Promise<PutAnswer> {
    await this.onPoint('put begins', token.id);
    const answer = await super.put(token);
    await this.onPoint('put ends', token.id);
    return answer;
  }

  override async read(query: TokenQuery): Promise<ReadAnswer> {
    const subject = query.by === 'pool' ? query.kind : query.is;
    await this.onPoint('read begins', subject);
    const answer = await super.read(query);
    await this.onPoint('read ends', subject);
    return answer;
  }

  override async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    await this.onPoint('claim begins', request.claimId);
    const answer = await super.claim(request);
    await this.onPoint('claim ends', request.claimId);
    return answer;
  }

  override undo(merchant: string, claim: Claim): Promise<boolean> {
    this.undone += 1;
    return super.undo(merchant, claim);
  }
}
