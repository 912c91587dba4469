import { formatAddress, type Address } from './address.ts';
import type { Admitted } from './judge.ts';
import { connectWithRing, type RingSource } from './read-ring.ts';
import type { Source } from './source.ts';

/** Why nothing was connected to. */
export type DialFailure = 'refused' | 'timeout' | 'unreachable' | 'reset';

/** What was connected to, or why nothing was. */
export type Dialed = { source: Source; admitted: Admitted } | { failure: DialFailure };

/** How long an address is waited for until the next one is tried beside it (RFC 8305 §5). */
const NEXT_ADDRESS_MS = 250;

/**
 * Connects to the first of the addresses that answers. Exactly these addresses are dialled: no name comes so far that could mean something else
 * by now. Never rejects.
 */
export function dialAny(
  admitted: readonly Admitted[],
  port: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Dialed> {
  return new Promise((resolve) => {
    const waiting = interleave(admitted);
    const trying = new Set<RingSource['socket']>();
    let failure: DialFailure = 'unreachable';
    let next: NodeJS.Timeout | undefined;
    let settled = false;

    const settle = (result: Dialed): void => {
      if (settled) return;
      settled = true;
      clearTimeout(next);
      clearTimeout(limit);
      signal.removeEventListener('abort', abort);
      for (const socket of trying) socket.destroy();
      resolve(result);
    };
    const abort = (): void => settle({ failure: 'reset' });
    const limit = setTimeout(() => settle({ failure: 'timeout' }), timeoutMs);
    signal.addEventListener('abort', abort);

    const tryNext = (): void => {
      clearTimeout(next);
      const candidate = waiting.shift();
      if (candidate === undefined) {
        if (trying.size === 0) settle({ failure });
        return;
      }
      const source = open(candidate.address, port);
      const { socket } = source;
      trying.add(socket);
      socket.once('connect', () => {
        trying.delete(socket);
        socket.removeAllListeners('error');
        settle({ source, admitted: candidate });
      });
      socket.once('error', (error) => {
        trying.delete(socket);
        failure = failureOf(error);
        if (!settled) tryNext();
      });
      if (waiting.length > 0) next = setTimeout(tryNext, NEXT_ADDRESS_MS);
    };
    if (signal.aborted) abort();
    else tryNext();
  });
}

function open(address: Address, port: number): RingSource {
  return connectWithRing({
    host: formatAddress(address),
    port,
    family: address.family,
    autoSelectFamily: false,
    allowHalfOpen: true,
    noDelay: true,
  });
}

/** IPv6 and IPv4 in turn. */
function interleave(admitted: readonly Admitted[]): Admitted[] {
  const of = (family: 4 | 6): Admitted[] => admitted.filter(({ address }) => address.family === family);
  const [six, four] = [of(6), of(4)];
  return Array.from({ length: Math.max(six.length, four.length) }, (_, at) => [six[at], four[at]])
    .flat()
    .filter((candidate) => candidate !== undefined);
}

function failureOf(error: NodeJS.ErrnoException): DialFailure {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ETIMEDOUT':
      return 'timeout';
    case 'ECONNRESET':
      return 'reset';
    default:
      return 'unreachable';
  }
}
