import { OUTCOMES, WORKER_OUTCOMES, type Outcome, type OutcomeCode } from './registry.ts';

/** The text of docs/outcomes.md. */
export function outcomesPage(): string {
  const lines = [
    '# Outcomes',
    '',
    '<!-- Written by `npx playa docs outcomes`; edit packages/dispatcher/src/outcome/registry.ts instead. -->',
    '',
    'How an invocation can end. The code is in the access log (`outcome`), in the header `x-playa-outcome` of an answer that the platform gave in',
    "place of the function, and in its body (`application/problem+json`, RFC 9457), where `reason` names the variant. An answer of the function's own, whatever",
    'its status, is `ok` and has no such header.',
    '',
    '| code | status | who is to blame | try again | meaning | what to do |',
    '|---|---|---|---|---|---|',
  ];
  for (const code of Object.keys(OUTCOMES) as OutcomeCode[]) {
    const { status, blame, retryable, title, remedy }: Outcome = OUTCOMES[code];
    const cells = [`\`${code}\``, status === 0 ? '–' : String(status), blame, retryable ? 'yes' : 'no', title, remedy];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  const named = [...WORKER_OUTCOMES].map((code) => `\`${code}\``).join(', ');
  lines.push('', `A worker can name these in DONE (docs/runner-protocol.md): ${named}.`, '');
  return lines.join('\n');
}
