import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { networkNamespacesMissing } from '../harness/network-namespace.ts';
import { PROJECT } from '../harness/project.ts';

const NAME = `playa-test-${process.pid}`;

const reason = networkNamespacesMissing(['nft']);
if (reason !== undefined) console.log(`skipped: ${reason}`);

test.runIf(reason === undefined)('behind the second fence metadata and neighbours are out of reach', async () => {
  execFileSync('ip', ['netns', 'add', NAME]);
  try {
    const probe = join(import.meta.dirname, 'fence-probe.mjs');
    const script = join(PROJECT.root, 'deploy/egress-fence/fence.sh');
    const { stdout } = await promisify(execFile)('ip', ['netns', 'exec', NAME, process.execPath, probe, script]);
    const { before, after, seen, results } = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
      before: number;
      after: number;
      seen: string[];
      results: Record<string, string>;
    };
    expect([before, after]).toEqual([1, 0]);
    expect(seen).toEqual(['false', 'true']);
    expect(results['9.9.9.9']).toBe('reached');
    expect(results['10.98.0.53']).toBe('reached');
    for (const address of ['169.254.169.254', '::ffff:169.254.169.254', '10.99.0.1', '10.213.77.1']) {
      expect([address, results[address]]).not.toEqual([address, 'reached']);
    }
    expect(results['169.254.169.254']).toBe('EACCES');
  } finally {
    execFileSync('ip', ['netns', 'delete', NAME]);
  }
});
