import { execFileSync } from 'node:child_process';

/** What shows that a command works in a namespace. */
const TRIES = { ip: ['link'], nft: ['list', 'ruleset'], iptables: ['-S'] };

type Tool = keyof typeof TRIES;

/** Why no network namespace can be made here; `undefined` where one can. `commands`: what it takes besides `ip`. */
export function networkNamespacesMissing(commands: readonly Tool[] = []): string | undefined {
  if (process.getuid!() !== 0) return 'only root makes network namespaces';
  const name = `playa-try-${process.pid}`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'ignore' });
    try {
      for (const command of ['ip', ...commands] as const) {
        execFileSync('ip', ['netns', 'exec', name, command, ...TRIES[command]], { stdio: 'ignore' });
      }
    } finally {
      execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
    }
  } catch {
    return `one of these does not work here: ip netns ${commands.join(' ')}`;
  }
  return undefined;
}
