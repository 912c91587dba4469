import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { ConfigError } from '../config/config-error.ts';
import type { Config } from '../config/options.ts';
import type { Policy } from '../policy/policy.ts';
import { parseAddress, parseCidr, unmapped, type Address, type Cidr } from './address.ts';
import { createBroker, type EgressGate } from './broker.ts';
import { createByteBudget } from './byte-budget.ts';
import { openLedger } from './ledger.ts';
import { createResolver } from './resolver.ts';
import { isVirtualHost, type VirtualHosts } from './virtual-hosts.ts';
import { parseRule, parseRules, type Rule } from './rule.ts';

/** What functions reach, set up as the operator says. */
export type Egress = {
  /** What the lanes of a function's runners ask. `shared`: its processes serve many requests. */
  gate: (functionName: string, policy: Pick<Policy, 'netAllow' | 'isolation' | 'limits'>) => EgressGate;
  /** Certificates that runners trust besides the public ones, as PEM. */
  roots: string;
  close: () => Promise<void>;
};

/** The file of roots is sent to each runner in one frame. */
const MAX_ROOTS_BYTES = 128 * 1024;

type EgressConfig = Pick<Config, Extract<keyof Config, `egress${string}` | 'capEgressAllow' | 'maxFunctions'>>;

/**
 * Sets up the broker. The ledger lies in the folder `egress` of the state folder.
 * @throws {ConfigError} for options that make no sense.
 */
export function openEgress(deps: {
  config: EgressConfig;
  stateRoot: string;
  virtualHosts: Pick<VirtualHosts, 'connect'>;
  log: Logger;
  nowMs: () => number;
}): Egress {
  const { config, log } = deps;
  const defaults = read('egress-allow', () => parseRules(config.egressAllow, true));
  const cap =
    config.capEgressAllow === 'any'
      ? undefined
      : read('cap-egress-allow', () => parseRules(config.capEgressAllow, true));
  const exempt = config.egressAllowPrivate === 'none' ? [] : readRanges(config.egressAllowPrivate);
  const servers = config.egressResolver === 'system' ? [] : config.egressResolver.split(/[\s,]+/).filter(Boolean);
  const resolver = read('egress-resolver', () => createResolver(servers));
  const roots = config.egressRoots === 'none' ? '' : readRoots(config.egressRoots);
  const ledger = openLedger({
    folder: join(deps.stateRoot, 'egress'),
    maxBytes: config.egressLedgerMaxBytes,
    nowMs: Date.now,
    onError: (error) => log.error({ err: error }, 'the ledger of outgoing connections cannot be written'),
  });
  const broker = createBroker({
    resolver,
    ledger,
    virtualHosts: deps.virtualHosts,
    budget: createByteBudget({ maxFunctions: config.maxFunctions, nowMs: deps.nowMs }),
    addressBook: () => ({ exempt, local: localAddresses() }),
    limits: {
      connectMs: config.egressConnectMs,
      idleMs: config.egressIdleMs,
      totalMs: config.egressTotalMs,
      depth: config.egressDepth,
    },
    nowMs: deps.nowMs,
  });
  return {
    roots,
    gate: (functionName, policy) => {
      const asked = policy.netAllow?.map((text) => tryRule(text)).filter((rule) => rule !== undefined);
      const rules = { rules: asked ?? defaults, cap: asked === undefined ? undefined : cap };
      const egressPolicy = { functionName, ...rules, limits: policy.limits };
      return {
        // Where a process serves many requests. To another function each invocation has its own: who calls, and how deep, is known of the connection.
        outlives: (host) => policy.isolation === 'instance' && !isVirtualHost(host),
        dial: (caller, host, port, sink) => broker.dial(caller, host, port, egressPolicy, sink),
        resolve: (caller, name, sink) => broker.resolve(caller, name, egressPolicy, sink),
      };
    },
    close: () => broker.close(),
  };
}

/** A rule of a function; the policy has refused what is none. */
function tryRule(text: string): Rule | undefined {
  try {
    return parseRule(text, true);
  } catch {
    return undefined;
  }
}

function localAddresses(): Address[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => parseAddress(address.split('%')[0]!))
    .filter((address) => address !== undefined)
    .map(unmapped);
}

function readRanges(text: string): Cidr[] {
  return text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map((line) => {
      const range = parseCidr(line);
      if (range === undefined) {
        throw new ConfigError(
          `egress-allow-private: "${line}" is neither an address nor a network such as 10.1.0.0/16`,
        );
      }
      return range;
    });
}

function readRoots(path: string): string {
  return read(`egress-roots: ${path}`, () => {
    const text = readFileSync(path, 'utf8');
    if (text.length > MAX_ROOTS_BYTES) throw new Error(`it has more than ${MAX_ROOTS_BYTES} bytes`);
    const certificates = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
    if (certificates.length === 0) throw new Error('it holds no certificate');
    return certificates.map((certificate) => new X509Certificate(certificate).toString().trimEnd()).join('\n');
  });
}

function read<T>(what: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new ConfigError(`${what}: ${(error as Error).message}`, { cause: error });
  }
}
