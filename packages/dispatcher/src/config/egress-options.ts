import { bytes, count, DAY_MS, GIB, MIB, milliseconds } from './option-kind.ts';

const group = 'Egress';

/** Options of what functions reach outside of their sandboxes (docs/egress.md). */
export const EGRESS_OPTIONS = {
  egressAllow: {
    kind: { type: 'text' },
    fallback: () => 'public',
    group,
    description:
      'Where functions without a `net.allow` of their own may connect to: rules separated by commas, or `none`. `public` is every public address.',
  },
  capEgressAllow: {
    kind: { type: 'text' },
    fallback: () => 'any',
    group,
    description:
      'What the `net.allow` of a function can allow at most: rules separated by commas, `none`, or `any`, which still means public addresses and those of `egress-allow-private`.',
  },
  egressAllowPrivate: {
    kind: { type: 'text' },
    fallback: () => 'none',
    group,
    description:
      'Addresses and networks, separated by commas, that are exempt from the list of those that nobody reaches, such as a database on the private network. A rule must allow them, too; `public` does not.',
  },
  egressResolver: {
    kind: { type: 'text' },
    fallback: () => 'system',
    group,
    description:
      'Name servers that are asked, separated by commas: addresses with or without port. `system`: those of /etc/resolv.conf.',
  },
  egressRoots: {
    kind: { type: 'text' },
    fallback: () => 'none',
    group,
    description: "File of certificates (PEM) that functions' HTTPS requests trust besides the public authorities.",
  },
  egressDepth: {
    kind: count(0, 32),
    fallback: () => 4,
    group,
    description: 'How deep functions may call each other by their names below `playa.internal`.',
  },
  egressLedgerMaxBytes: {
    kind: bytes(MIB, Number.MAX_SAFE_INTEGER),
    fallback: () => GIB,
    group,
    description: 'The ledger of connections in the state folder; beyond it the oldest of its files are removed.',
  },
  egressConnectMs: {
    kind: milliseconds(1, DAY_MS),
    fallback: () => 10_000,
    group,
    description: 'How long a connection may take to be made.',
  },
  egressIdleMs: {
    kind: milliseconds(1, DAY_MS),
    fallback: () => 60_000,
    group,
    description: 'A connection on which nothing moves for this long is closed.',
  },
  egressTotalMs: {
    kind: milliseconds(1, DAY_MS),
    fallback: () => 15 * 60_000,
    group,
    description: 'The longest that a connection lasts.',
  },
} as const;
