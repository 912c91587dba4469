import { contains, parseCidr, type Address, type Cidr } from './address.ts';
import { parseHost } from './host.ts';

/** One line of an allow list. `text` is as it was written, for logs and the ledger. */
export type Rule =
  | { kind: 'public'; text: string }
  | { kind: 'name'; text: string; name: string; wildcard: boolean; port: number | undefined }
  | { kind: 'range'; text: string; range: Cidr; port: number | undefined };

const SCHEME_PORTS: Record<string, number | undefined> = { https: 443, http: 80, tcp: undefined };
/** Mail is not sent from functions: `public` leaves this port out, as other platforms do; a rule of its own allows it. */
const MAIL_PORT = 25;

/**
 * Parses one line: `public`, `https://host`, `http://host:8080`, `tcp://db:5432`, `*.example.com:443`, `host`, an address, or
 * a range such as `10.1.0.0/16` or `[fd00::/8]:5432`.
 * @param ranges whether ranges of more than one address are allowed
 * @throws {Error} with what is wrong.
 */
export function parseRule(text: string, ranges: boolean): Rule {
  if (text === 'public') return { kind: 'public', text };
  const wrong = (why: string): Error => new Error(`"${text}" is not a rule: ${why}`);
  const match =
    /^(?:([a-z]+):\/\/)?(\[[^\]]*\]|[^:[\]]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:\/\d+)?)(?::(\d{1,5}))?\/?$/.exec(text);
  if (match === null) throw wrong('it has the form [https://]HOST[:PORT]');
  const [, scheme, host, portText] = match;
  if (scheme !== undefined && !(scheme in SCHEME_PORTS)) throw wrong(`${scheme} is none of https, http and tcp`);
  const port = portText === undefined ? SCHEME_PORTS[scheme ?? 'tcp'] : Number(portText);
  if (port !== undefined && (port < 1 || port > 65_535)) throw wrong(`there is no port ${port}`);
  if (scheme === 'tcp' && port === undefined) throw wrong('tcp:// needs a port');
  const bare = host!.replace(/^\[(.*)\]$/, '$1');
  const range = parseCidr(bare);
  if (bare === 'public') throw wrong('`public` stands alone');
  if (range !== undefined) {
    if (range.prefix < (range.family === 4 ? 32 : 128) && !ranges) throw wrong('the operator does not allow ranges');
    return { kind: 'range', text, range, port };
  }
  const wildcard = bare.startsWith('*.');
  const parsed = parseHost(wildcard ? bare.slice(2) : bare);
  if (parsed.kind === 'invalid') throw wrong(parsed.reason);
  if (parsed.kind === 'address') throw wrong('addresses are written in their plain form');
  return { kind: 'name', text, name: parsed.name, wildcard, port };
}

/**
 * Parses a list that is separated by commas or spaces; `none` is the empty one.
 * @throws {Error} as {@link parseRule}.
 */
export function parseRules(text: string, ranges: boolean): Rule[] {
  if (text.trim() === 'none') return [];
  return text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map((line) => parseRule(line, ranges));
}

/** Whether one of the rules can allow a name at a port, depending on its addresses. */
export function mayAllowName(rules: readonly Rule[], name: string, port: number | undefined): boolean {
  return rules.some((rule) => {
    if (!portMatches(rule, port)) return false;
    if (rule.kind !== 'name') return true;
    return rule.wildcard ? name.endsWith(`.${rule.name}`) : name === rule.name;
  });
}

/** The rule that allows a virtual host: one that names it. */
export function ruleForVirtualHost(rules: readonly Rule[], name: string, port: number): Rule | undefined {
  return rules.find((rule) => rule.kind === 'name' && mayAllowName([rule], name, port));
}

/** The rule that allows an address. `exempted`: it is not public; `public` does not mean it then. `names`: what it was looked up by. */
export function ruleForAddress(
  rules: readonly Rule[],
  address: Address,
  port: number | undefined,
  exempted: boolean,
  names: readonly string[],
): Rule | undefined {
  return rules.find((rule) => {
    if (!portMatches(rule, port)) return false;
    switch (rule.kind) {
      case 'public':
        return !exempted;
      case 'range':
        return contains(rule.range, address);
      case 'name':
        return names.some((name) => (rule.wildcard ? name.endsWith(`.${rule.name}`) : name === rule.name));
    }
  });
}

/** `port` is not known for a look-up. */
function portMatches(rule: Rule, port: number | undefined): boolean {
  if (port === undefined) return true;
  return rule.kind === 'public' ? port !== MAIL_PORT : rule.port === undefined || rule.port === port;
}
