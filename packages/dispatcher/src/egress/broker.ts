import type { Duplex } from 'node:stream';
import { formatAddress, type Address } from './address.ts';
import { addressKey, type CallOrigin } from './caller.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { AddressBook } from './denied.ts';
import { dialAny, type DialFailure } from './dialer.ts';
import { parseHost } from './host.ts';
import { judgeAddresses, judgeName, judgeVirtualHost, refuseInvalid, type Admitted, type Refusal } from './judge.ts';
import type { Ledger, LedgerEntry } from './ledger.ts';
import { createQuotas, type EgressLimits } from './quotas.ts';
import { relay } from './relay.ts';
import type { LookupFailure, Resolver } from './resolver.ts';
import type { Rule } from './rule.ts';
import { sourceOf, type Source } from './source.ts';
import { functionOfHost, VIRTUAL_PORT, type VirtualHosts } from './virtual-hosts.ts';

/** Why there is no connection and no answer to a look-up. */
export type FailureCode = 'denied' | 'address_denied' | 'limit' | 'internal' | LookupFailure | DialFailure;

/** Why a connection has ended. */
export type CloseReason = 'ordinary' | 'reset' | 'timeout' | 'limit';

/** Takes what comes of a connection: `connected` or `failed` first; after `connected` what comes from outside, `closed` last. */
export type ConnectionSink = {
  connected: (address: Address, port: number) => void;
  failed: (code: FailureCode) => void;
  /** The chunk keeps its bytes until it is released. */
  data: (chunk: Buffer) => void;
  end: () => void;
  /** So many bytes have left this process. */
  written: (bytes: number) => void;
  closed: (reason: CloseReason) => void;
};

/** Takes what comes of a look-up, one of them. */
export type LookupSink = { resolved: (addresses: readonly Address[]) => void; failed: (code: FailureCode) => void };

/** A connection, or one in the making; after `close` its sink is told nothing more. */
export type Connection = {
  write: (chunk: Buffer) => void;
  end: () => void;
  /** So many of the oldest bytes that its sink was given are used up: further ones may come in their place. */
  release: (bytes: number) => void;
  close: () => void;
};

/** One invocation as the broker knows it. */
export type Caller = {
  readonly origin: CallOrigin;
  warnings: number;
  dials: number;
  open: number;
  bytes: number;
  /** Addresses that it has looked up, with their names: an address is dialled by the rules of its name. */
  readonly names: Map<string, string[]>;
};

/** What a function may reach: what its rules allow and, where there are some, the operator's cap; and how much of it. */
export type EgressPolicy = {
  functionName: string;
  rules: readonly Rule[];
  cap: readonly Rule[] | undefined;
  limits: EgressLimits;
};

/** What a lane sees of the broker: the policy of its function is applied. */
export type EgressGate = {
  dial: (caller: Caller, host: string, port: number, sink: ConnectionSink) => Connection;
  resolve: (caller: Caller, name: string, sink: LookupSink) => Connection;
  /** Whether a connection to this host may outlive the invocation that it was made for. */
  outlives: (host: string) => boolean;
};

/** Makes every connection of every function. */
export type Broker = {
  dial: (caller: Caller, host: string, port: number, policy: EgressPolicy, sink: ConnectionSink) => Connection;
  resolve: (caller: Caller, name: string, policy: EgressPolicy, sink: LookupSink) => Connection;
  /** Ends all connections; resolves when the ledger is written. */
  close: () => Promise<void>;
};

/** Bounds that are the same for all functions. */
export type BrokerLimits = {
  connectMs: number;
  idleMs: number;
  totalMs: number;
  /** How deep functions may call each other. */
  depth: number;
};

/** What a virtual host has instead of an address. */
const NO_ADDRESS: Address = { family: 4, value: 0n };

const NO_PORT: Refusal = { by: 'limit', reason: 'there is no port 0', remedy: undefined };

/** Lines that one invocation's refusals add to the function's log. */
const MAX_WARNINGS = 20;

/** Makes the broker. `addressBook` is asked for each connection, as interfaces come and go. */
export function createBroker(deps: {
  resolver: Resolver;
  ledger: Ledger;
  virtualHosts: Pick<VirtualHosts, 'connect'>;
  addressBook: () => AddressBook;
  budget: ByteBudget;
  limits: BrokerLimits;
  nowMs: () => number;
}): Broker {
  const { limits } = deps;
  const quotas = createQuotas(deps.budget);
  const open = new Set<Connection>();

  const begin = (caller: Caller, policy: EgressPolicy, kind: LedgerEntry['kind'], host: string, port?: number) => {
    const startedMs = deps.nowMs();
    const entry: LedgerEntry = {
      kind,
      function: policy.functionName,
      requestId: caller.origin.requestId,
      host: host.slice(0, 300),
      ...(port === undefined ? {} : { port }),
      addresses: [],
      verdict: 'failed',
      sentBytes: 0,
      receivedBytes: 0,
      durationMs: 0,
    };
    const write = (): void => {
      entry.durationMs = Math.round(deps.nowMs() - startedMs);
      deps.ledger.append(entry);
    };
    return { entry, write };
  };

  /** All addresses of a host that may be dialled, or why there are none. */
  const admit = async (
    caller: Caller,
    text: string,
    port: number | undefined,
    policy: EgressPolicy,
    entry: LedgerEntry,
    signal: AbortSignal,
  ): Promise<{ admitted: Admitted[]; name: string | undefined } | { refusal: Refusal } | { failure: FailureCode }> => {
    const host = parseHost(text);
    if (host.kind === 'invalid') return { refusal: refuseInvalid(host) };
    if (host.kind === 'address') {
      entry.addresses = [formatAddress(host.address)];
      const names = caller.names.get(addressKey(host.address)) ?? [];
      const verdict = judgeAddresses(policy, [host.address], port, names, deps.addressBook());
      return 'refusal' in verdict ? verdict : { ...verdict, name: undefined };
    }
    const named = judgeName(policy, host.name, port);
    if (named !== undefined) return named;
    // Not a name of the network: nobody outside is to be asked for it.
    if (functionOfHost(host.name) !== undefined) return refused('functions are reached by HTTP only');
    const found = await deps.resolver.lookUp(host.name, signal);
    if ('failure' in found) return found;
    entry.addresses = found.addresses.map(formatAddress);
    const verdict = judgeAddresses(policy, found.addresses, port, [host.name], deps.addressBook());
    return 'refusal' in verdict ? verdict : { ...verdict, name: host.name };
  };

  /** A connection to another function, where the host is a virtual one. */
  const callFunction = (
    caller: Caller,
    text: string,
    port: number,
    policy: EgressPolicy,
  ): { refusal: Refusal } | { socket: Duplex; rule: Rule } | undefined => {
    const host = parseHost(text);
    const functionName = host.kind === 'name' ? functionOfHost(host.name) : undefined;
    if (host.kind !== 'name' || functionName === undefined) return undefined;
    const verdict = judgeVirtualHost(policy, host.name, port);
    if ('refusal' in verdict) return verdict;
    if (port !== VIRTUAL_PORT) return refused(`virtual hosts are at port ${VIRTUAL_PORT}`);
    const { requestId, rootRequestId, depth, traceContext } = caller.origin;
    if (depth >= limits.depth) return refused(`functions call each other ${limits.depth} deep already`);
    const { functionName: callerName } = policy;
    const chain = { callerRequestId: requestId, rootRequestId, depth: depth + 1, traceContext };
    return { socket: deps.virtualHosts.connect({ functionName, callerName, ...chain }), rule: verdict.rule };
  };

  /** A connection that `work` makes; what that throws is a defect, which its user is told of. Nothing is told before this has returned. */
  const inMaking = (
    work: (signal: AbortSignal, become: (made: Connection) => void) => Promise<void>,
    failed: (code: FailureCode) => void,
  ): Connection => {
    const cancel = new AbortController();
    let settled: Connection | undefined;
    void Promise.resolve()
      .then(() => work(cancel.signal, (made) => (settled = made)))
      .catch(() => failed('internal'));
    return {
      write: (chunk) => settled?.write(chunk),
      end: () => settled?.end(),
      release: (bytes) => settled?.release(bytes),
      close: () => {
        cancel.abort();
        settled?.close();
      },
    };
  };

  return {
    dial: (caller, host, port, policy, sink) => {
      const { entry, write } = begin(caller, policy, 'connection', host, port);
      const exceeded = port === 0 ? NO_PORT : quotas.connect(caller, policy);
      let holdsPlace = exceeded === undefined;
      const release = (): void => {
        if (holdsPlace) quotas.release(caller, policy);
        holdsPlace = false;
      };
      const fail = (code: FailureCode): void => {
        release();
        entry.reason ??= code;
        write();
        sink.failed(code);
      };
      return inMaking(async (signal, become) => {
        if (exceeded !== undefined) return fail(refuse(caller, entry, exceeded));
        const begun = (source: Source, address: Address): void => {
          const made = relay(source, sink, limits, {
            passed: (sentBytes, receivedBytes) => {
              entry.sentBytes += sentBytes;
              entry.receivedBytes += receivedBytes;
              const tooMuch = quotas.transfer(caller, policy, sentBytes + receivedBytes);
              if (tooMuch !== undefined) noteCut(caller, entry, tooMuch);
              return tooMuch === undefined;
            },
            over: (reason) => {
              open.delete(made);
              release();
              if (reason !== 'ordinary') entry.reason ??= reason;
              write();
            },
          });
          open.add(made);
          become(made);
          sink.connected(address, port);
          if (signal.aborted) made.close();
        };
        const called = callFunction(caller, host, port, policy);
        if (called !== undefined) {
          if ('refusal' in called) return fail(refuse(caller, entry, called.refusal));
          entry.verdict = 'allowed';
          entry.rule = called.rule.text;
          return begun(sourceOf(called.socket), NO_ADDRESS);
        }
        const judged = await admit(caller, host, port, policy, entry, signal);
        if ('refusal' in judged) return fail(refuse(caller, entry, judged.refusal));
        if ('failure' in judged) return fail(judged.failure);
        entry.rule = judged.admitted[0]!.rule.text;
        const dialed = await dialAny(judged.admitted, port, limits.connectMs, signal);
        if ('failure' in dialed) return fail(dialed.failure);
        entry.verdict = 'allowed';
        entry.address = formatAddress(dialed.admitted.address);
        entry.rule = dialed.admitted.rule.text;
        begun(dialed.source, dialed.admitted.address);
      }, fail);
    },

    resolve: (caller, name, policy, sink) => {
      const { entry, write } = begin(caller, policy, 'lookup', name);
      const exceeded = quotas.lookUp(caller, policy);
      const fail = (code: FailureCode): void => {
        entry.reason ??= code;
        write();
        sink.failed(code);
      };
      return inMaking(async (signal) => {
        if (exceeded !== undefined) return fail(refuse(caller, entry, exceeded));
        const judged = await admit(caller, name, undefined, policy, entry, signal);
        if ('refusal' in judged) return fail(refuse(caller, entry, judged.refusal));
        if ('failure' in judged) return fail(judged.failure);
        const addresses = judged.admitted.map(({ address }) => address);
        if (judged.name !== undefined) {
          for (const address of addresses) {
            const names = caller.names.get(addressKey(address)) ?? [];
            if (!names.includes(judged.name)) caller.names.set(addressKey(address), [...names, judged.name]);
          }
        }
        entry.verdict = 'allowed';
        entry.rule = judged.admitted[0]!.rule.text;
        write();
        sink.resolved(addresses);
      }, fail);
    },

    close: async () => {
      for (const connection of open) connection.close();
      await deps.ledger.close();
    },
  };
}

/** Notes a refusal in the ledger and in the function's log. */
function refuse(caller: Caller, entry: LedgerEntry, refusal: Refusal): FailureCode {
  entry.verdict = 'refused';
  note(caller, entry, refusal, 'refused');
  if (refusal.by === 'limit') return 'limit';
  return refusal.by === 'denied' ? 'address_denied' : 'denied';
}

/** Notes that a connection ends because of a limit. */
function noteCut(caller: Caller, entry: LedgerEntry, limit: Refusal): void {
  // More may come before it is closed.
  if (entry.reason === undefined) note(caller, entry, limit, 'cut');
}

function note(caller: Caller, entry: LedgerEntry, { reason, remedy }: Refusal, what: 'refused' | 'cut'): void {
  entry.reason = reason;
  if (caller.warnings++ >= MAX_WARNINGS) return;
  const target = entry.port === undefined ? entry.host : `${entry.host} port ${entry.port}`;
  caller.origin.note(`egress to ${target} was ${what}: ${reason}${remedy === undefined ? '' : `; ${remedy}`}\n`);
}

function refused(reason: string): { refusal: Refusal } {
  return { refusal: { by: 'policy', reason, remedy: undefined } };
}
