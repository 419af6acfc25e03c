/** Who sent a post, and whether it is let in: the allow-list, and the proxies whose word is taken for the sender. */
import { BlockList, isIP } from 'node:net';
import type { Cidr } from '../config/config.ts';

export class SenderPolicy {
  readonly #allowed: BlockList | undefined;
  readonly #trusted: BlockList | undefined;

  constructor(allowed: readonly Cidr[], trustedProxies: readonly Cidr[]) {
    this.#allowed = listOf(allowed);
    this.#trusted = listOf(trustedProxies);
  }

  /**
   * The address of the sender: the peer's own, unless the peer is a trusted proxy; then the right-most address of
   * `X-Forwarded-For` that is not a trusted proxy. Anybody can write the addresses to the left of it.
   */
  senderOf(peer: string | undefined, forwardedFor: string | undefined): string {
    let sender = plain(peer ?? '');
    if (this.#trusted === undefined) return sender;
    const hops = forwardedFor?.split(',') ?? [];
    while (has(this.#trusted, sender)) {
      const hop = hops.pop();
      const address = hop === undefined ? undefined : plain(withoutPort(hop.trim()));
      if (address === undefined || isIP(address) === 0) break;
      sender = address;
    }
    return sender;
  }

  isAllowed(sender: string): boolean {
    return this.#allowed === undefined || has(this.#allowed, sender);
  }
}

/** Nothing for an empty list: to ask one costs as much as to ask a full one. */
function listOf(cidrs: readonly Cidr[]): BlockList | undefined {
  if (cidrs.length === 0) return undefined;
  const list = new BlockList();
  for (const { address, prefix, family } of cidrs) list.addSubnet(address, prefix, family);
  return list;
}

function has(list: BlockList, address: string): boolean {
  const version = isIP(address);
  return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4');
}

/** An IPv4 address that came mapped into IPv6 is the IPv4 address. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

function withoutPort(address: string): string {
  return /^\[(.*)\](?::\d+)?$/.exec(address)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address)?.[1] ?? address;
}
