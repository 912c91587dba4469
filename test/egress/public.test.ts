import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { networkNamespacesMissing } from '../harness/network-namespace.ts';

const reason = networkNamespacesMissing();
if (reason !== undefined) console.log(`skipped: ${reason}`);

/** What answers at each host, in a world of which these are the addresses. */
const EXPECTED: Record<string, RegExp> = {
  '9.9.9.9': /body: from ::ffff:9\.9\.9\.9/,
  '9.9.9.9.': /body: from ::ffff:9\.9\.9\.9/,
  '151587081': /body: from ::ffff:9\.9\.9\.9/,
  '0x09090909': /body: from ::ffff:9\.9\.9\.9/,
  '011.9.2313': /body: from ::ffff:9\.9\.9\.9/,
  '[::ffff:9.9.9.9]': /body: from ::ffff:9\.9\.9\.9/,
  '[2606:4700::9]': /body: from 2606:4700::9/,
  '[2606:4700:0:0::9]': /body: from 2606:4700::9/,
  'both.test': /body: from (2606:4700::9|::ffff:9\.9\.9\.9)/,
  'half.test': /body: from ::ffff:9\.9\.9\.9/,
  'mixed.test': /body: from ::ffff:9\.9\.9\.9/,
  '10.1.2.3': /DestinationIpProhibited/,
  '169.254.169.254': /DestinationIpProhibited/,
  '10.77.0.1': /DestinationIpProhibited/,
  '10.77.0.2': /DestinationIpProhibited/,
  '[fd77::2]': /DestinationIpProhibited/,
  '[64:ff9b::9.9.9.9]': /DestinationIpProhibited/,
};

test.runIf(reason === undefined)(
  'public addresses are reached in every spelling, their neighbours are not',
  async () => {
    // Built here, where there is a network.
    await buildGuest('egress');
    const name = `playa-public-${process.pid}`;
    execFileSync('ip', ['netns', 'add', name]);
    try {
      const probe = join(import.meta.dirname, 'public-probe.ts');
      const args = ['netns', 'exec', name, process.execPath, probe, ...Object.keys(EXPECTED)];
      const { stdout } = await promisify(execFile)('ip', args);
      const results = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, string>;
      for (const [host, expected] of Object.entries(EXPECTED))
        expect([host, results[host]]).toEqual([host, expect.stringMatching(expected)]);
    } finally {
      execFileSync('ip', ['netns', 'delete', name]);
    }
  },
);
