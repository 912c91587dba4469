import { execFileSync } from 'node:child_process';

/** Why no network namespace can be made here; `undefined` where one can. `commands`: what it takes besides `ip`. */
export function networkNamespacesMissing(commands: readonly string[] = []): string | undefined {
  if (process.getuid!() !== 0) return 'only root makes network namespaces';
  const name = `playa-try-${process.pid}`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'ignore' });
    try {
      for (const command of ['ip', ...commands]) {
        const args = command === 'nft' ? ['list', 'ruleset'] : ['link'];
        execFileSync('ip', ['netns', 'exec', name, command, ...args], { stdio: 'ignore' });
      }
    } finally {
      execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
    }
  } catch {
    return `one of these does not work here: ip netns ${commands.join(' ')}`;
  }
  return undefined;
}
