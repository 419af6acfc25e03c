/** Determines the sender of a post by the trusted proxies, and checks the sender against the allow-list. */
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
   * Returns the address of the sender: the peer's own, unless the peer is a trusted proxy. Then the sender is the
   * right-most address of `X-Forwarded-For` that is not a trusted proxy. A client can forge the addresses to its left.
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

/** Returns undefined for an empty list: checking an empty `BlockList` costs as much as checking a full one. */
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

/** Unwraps an IPv4 address that is mapped into IPv6. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

function withoutPort(address: string): string {
  return /^\[(.*)\](?::\d+)?$/.exec(address)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address)?.[1] ?? address;
}
