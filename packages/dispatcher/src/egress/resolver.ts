import { Resolver as DnsResolver } from 'node:dns/promises';
import { parseAddress, type Address } from './address.ts';

/** Why a name has no addresses. */
export type LookupFailure = 'name_not_found' | 'dns_failed' | 'dns_timeout';

/** Looks names up. Nothing is kept from one look-up to the next: each is judged anew. */
export type Resolver = {
  /** All addresses of a name, at least one. Never rejects. Stops when the signal says so. */
  lookUp: (name: string, signal: AbortSignal) => Promise<{ addresses: Address[] } | { failure: LookupFailure }>;
};

/** How long one server is waited for; a second try doubles it. */
const TRY_MS = 2_000;
/** A resolver that hangs is not waited for longer. */
const TOTAL_MS = 5_000;
/** When one family is known, the other has this long to come, too (RFC 8305 §3). */
const SECOND_FAMILY_MS = 50;
/** Nobody needs more; a lying resolver could give thousands. */
const MAX_ADDRESSES = 16;

type Answer = { addresses: Address[] } | { failure: LookupFailure };

/**
 * A resolver that asks name servers and nobody else: neither the hosts file nor a search list is read. `servers`: addresses with or without
 * port; the system's where there are none.
 * @throws {TypeError} where one of them is no address.
 */
export function createResolver(servers: readonly string[]): Resolver {
  new DnsResolver().setServers(servers.length > 0 ? servers : ['127.0.0.1']);
  return {
    lookUp: async (name, signal) => {
      // One for each look-up: to cancel one means to cancel all of its instance.
      const dns = new DnsResolver({ timeout: TRY_MS, tries: 2 });
      if (servers.length > 0) dns.setServers(servers);
      const stopped = Promise.withResolvers<Answer>();
      const cancel = (): void => {
        dns.cancel();
        stopped.resolve({ failure: 'dns_timeout' });
      };
      signal.addEventListener('abort', cancel);
      const limit = setTimeout(cancel, TOTAL_MS);
      try {
        // The end of the time does not depend on what becomes of a query that was cancelled.
        return await Promise.race([bothFamilies(dns, name), stopped.promise]);
      } finally {
        clearTimeout(limit);
        signal.removeEventListener('abort', cancel);
        dns.cancel();
      }
    },
  };
}

async function bothFamilies(dns: DnsResolver, name: string): Promise<Answer> {
  const queries = [ask(() => dns.resolve6(name)), ask(() => dns.resolve4(name))];
  const first = await Promise.race(queries.map(async (query, at) => ({ at, answer: await query })));
  const other = queries[1 - first.at]!;
  if ('failure' in first.answer) {
    const second = await other;
    // A name that exists has no addresses of one family; that one failed says more than that the other is missing.
    return 'failure' in second && second.failure === 'name_not_found' ? first.answer : second;
  }
  const second = await Promise.race([other, pause(SECOND_FAMILY_MS)]);
  const more = second !== undefined && 'addresses' in second ? second.addresses : [];
  return { addresses: [...first.answer.addresses, ...more].slice(0, MAX_ADDRESSES) };
}

async function ask(query: () => Promise<string[]>): Promise<Answer> {
  try {
    const addresses = (await query()).map(parseAddress).filter((address) => address !== undefined);
    return addresses.length > 0 ? { addresses: addresses.slice(0, MAX_ADDRESSES / 2) } : { failure: 'name_not_found' };
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'ENOTFOUND':
      case 'ENODATA':
      case 'EBADNAME':
        return { failure: 'name_not_found' };
      case 'ETIMEOUT':
      case 'ECANCELLED':
        return { failure: 'dns_timeout' };
      default:
        return { failure: 'dns_failed' };
    }
  }
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
