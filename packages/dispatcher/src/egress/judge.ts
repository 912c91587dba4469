import { formatAddress, unmapped, type Address } from './address.ts';
import { denyAddress, denyName, type AddressBook } from './denied.ts';
import type { Host } from './host.ts';
import { mayAllowName, ruleForAddress, ruleForVirtualHost, type Rule } from './rule.ts';

/** Why something was refused. `by`: `denied` for the list above all rules, `policy` where no rule allows it, `limit` where it is too much. */
export type Refusal = {
  by: 'invalid' | 'denied' | 'policy' | 'limit';
  reason: string;
  /** What would have to be changed, and by whom; nothing helps against some refusals. */
  remedy: string | undefined;
};

/** An address that may be dialled, and the rule that says so. */
export type Admitted = { address: Address; rule: Rule };

/** Rules of a function, and what the operator lets them allow at most. */
export type RuleSets = { rules: readonly Rule[]; cap: readonly Rule[] | undefined };

/** Judges a name before it is looked up: one that no rule can allow, whatever its addresses, is not. */
export function judgeName(sets: RuleSets, name: string, port: number | undefined): { refusal: Refusal } | undefined {
  const reason = denyName(name);
  if (reason !== undefined) return { refusal: { by: 'denied', reason, remedy: undefined } };
  if (!mayAllowName(sets.rules, name, port)) return { refusal: policyRefusal(name, port) };
  if (sets.cap !== undefined && !mayAllowName(sets.cap, name, port)) return { refusal: capRefusal(name, port) };
  return undefined;
}

/** Judges a virtual host: `public` does not mean it, a rule must name it. */
export function judgeVirtualHost(sets: RuleSets, name: string, port: number): { refusal: Refusal } | { rule: Rule } {
  const rule = ruleForVirtualHost(sets.rules, name, port);
  if (rule === undefined) return { refusal: policyRefusal(name, port) };
  if (sets.cap !== undefined && ruleForVirtualHost(sets.cap, name, port) === undefined) {
    return { refusal: capRefusal(name, port) };
  }
  return { rule };
}

/**
 * Judges the addresses of a destination, each for itself: those that may be dialled are left. `names`: what they were looked up by. Where
 * none is left, it is the first one's refusal.
 */
export function judgeAddresses(
  sets: RuleSets,
  addresses: readonly Address[],
  port: number | undefined,
  names: readonly string[],
  book: AddressBook,
): { refusal: Refusal } | { admitted: Admitted[] } {
  const admitted: Admitted[] = [];
  let refusal: Refusal | undefined;
  for (const spelled of addresses) {
    const address = unmapped(spelled);
    const verdict = judgeAddress(sets, address, port, names, book);
    if ('rule' in verdict) admitted.push({ address, rule: verdict.rule });
    else refusal ??= verdict.refusal;
  }
  if (admitted.length > 0) return { admitted };
  return { refusal: refusal ?? { by: 'denied', reason: 'it has no address', remedy: undefined } };
}

function judgeAddress(
  sets: RuleSets,
  address: Address,
  port: number | undefined,
  names: readonly string[],
  book: AddressBook,
): { rule: Rule } | { refusal: Refusal } {
  const denial = denyAddress(address, book);
  if ('reason' in denial) {
    const remedy = denial.exemptible
      ? `the operator would have to exempt it: --egress-allow-private ${formatAddress(address)}`
      : undefined;
    return { refusal: { by: 'denied', reason: denial.reason, remedy } };
  }
  const rule = ruleForAddress(sets.rules, address, port, denial.exempted, names);
  const host = names[0] ?? formatAddress(address);
  if (rule === undefined) return { refusal: policyRefusal(host, port) };
  if (sets.cap !== undefined && ruleForAddress(sets.cap, address, port, denial.exempted, names) === undefined) {
    return { refusal: capRefusal(host, port) };
  }
  return { rule };
}

function policyRefusal(host: string, port: number | undefined): Refusal {
  const shown = host.includes(':') ? `[${host}]` : host;
  return {
    by: 'policy',
    reason: `no rule allows ${shown}${port === undefined ? '' : `:${port}`}`,
    remedy: `add "${suggest(shown, port)}" to net.allow`,
  };
}

function capRefusal(host: string, port: number | undefined): Refusal {
  const shown = host.includes(':') ? `[${host}]` : host;
  const remedy = `the operator would have to add "${suggest(shown, port)}" to --cap-egress-allow`;
  return { by: 'policy', reason: `the server lets no function reach ${shown}`, remedy };
}

function suggest(host: string, port: number | undefined): string {
  if (port === 443) return `https://${host}`;
  if (port === 80) return `http://${host}`;
  return port === undefined ? host : `tcp://${host}:${port}`;
}

/** The refusal of what is neither a name nor an address. */
export function refuseInvalid(host: Extract<Host, { kind: 'invalid' }>): Refusal {
  return { by: 'invalid', reason: `the host cannot be understood: ${host.reason}`, remedy: undefined };
}
