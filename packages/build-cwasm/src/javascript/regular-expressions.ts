import rewritePattern from 'regexpu-core';
import { parseAst } from 'rolldown/parseAst';

type Literal = {
  readonly start: number;
  readonly end: number;
  readonly regex: { readonly pattern: string; readonly flags: string };
};

/**
 * Rewrites the regular expression literals that the engine does not read, those with Unicode properties (`\p{L}`) and with
 * the flag `v`, into ones that match the same. Patterns in strings (`new RegExp('\\p{L}')`) are out of reach.
 *
 * @param code a JavaScript module
 * @returns the module, or undefined when there was nothing to rewrite. Line numbers stay as they were.
 */
export function rewriteRegularExpressions(code: string): string | undefined {
  // Parsing costs more than looking.
  if (!/\\[pP]\{|\/[dgimsy]*v[dgimsy]*/.test(code)) return undefined;
  const literals: Literal[] = [];
  collectLiterals(parseAst(code), literals);
  let rewritten = code;
  for (const { start, end, regex } of literals.toSorted((a, b) => b.start - a.start)) {
    const pattern = rewritePattern(regex.pattern, regex.flags, {
      unicodePropertyEscapes: 'transform',
      unicodeSetsFlag: 'transform',
    });
    const flags = regex.flags.replace('v', 'u');
    rewritten = `${rewritten.slice(0, start)}/${pattern}/${flags}${rewritten.slice(end)}`;
  }
  return literals.length === 0 ? undefined : rewritten;
}

function collectLiterals(node: unknown, literals: Literal[]): void {
  if (Array.isArray(node)) {
    for (const child of node) collectLiterals(child, literals);
  } else if (typeof node === 'object' && node !== null) {
    if (isRewritable(node)) literals.push(node);
    else for (const child of Object.values(node)) collectLiterals(child, literals);
  }
}

function isRewritable(node: object): node is Literal {
  if (!('type' in node) || node.type !== 'Literal' || !('regex' in node)) return false;
  const { pattern, flags } = (node as unknown as Literal).regex;
  return flags.includes('v') || (flags.includes('u') && /\\[pP]\{/.test(pattern));
}
