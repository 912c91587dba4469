import { keyOf } from '../config/option-names.ts';
import { capName, LIMIT_NAMES, LIMITS } from './limits.ts';

/** The text of docs/limits.md. */
export function limitsPage(): string {
  const lines = [
    '# Limits',
    '',
    '<!-- Written by `npx playa docs limits`; edit packages/dispatcher/src/policy/limits.ts instead. -->',
    '',
    'Each limit of a function has a default, which is an option of the server (docs/configuration.md), and a cap, which is one too: the most that a',
    "function's policy may ask for (docs/policy.md). They hold in development as in production. A limit whose outcome is `ok` cuts what exceeds it and lets the function go on.",
    '',
    '| key | what it bounds | unit | default | cap | outcome | enforced by |',
    '|---|---|---|---|---|---|---|',
  ];
  for (const name of LIMIT_NAMES) {
    const { kind, fallback, cap, bounds, outcome, enforcedBy } = LIMITS[name];
    const unit = kind.type === 'count' ? 'a number' : kind.type;
    const cells = [
      `\`${keyOf(name)}\``,
      bounds,
      unit,
      fallback.toLocaleString('en-US'),
      `${cap.toLocaleString('en-US')} (\`${keyOf(capName(name))}\`)`,
      `\`${outcome}\``,
      enforcedBy,
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  lines.push(
    '',
    'Limits of the whole server, which no policy changes, are in docs/configuration.md under “Limits of the server”.',
    '',
  );
  return lines.join('\n');
}
