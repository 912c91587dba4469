/** Fuzzes what reads strangers' bytes: `npm run fuzz`, or `npm run fuzz -- --help`. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from '../test/harness/project.ts';
import { startCoverage } from './coverage.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { runTarget } from './run-target.ts';
import { ARTIFACT_TRAILER } from './targets/artifact-trailer.ts';
import { CONTROL_MESSAGES } from './targets/control-messages.ts';
import { EGRESS_HOST } from './targets/egress-host.ts';
import { LANE_FRAMES } from './targets/lane-frames.ts';
import { POLICY_FILE } from './targets/policy-file.ts';
import { REQUEST_TARGET } from './targets/request-target.ts';

const TARGETS: readonly FuzzTarget[] = [
  LANE_FRAMES,
  CONTROL_MESSAGES,
  ARTIFACT_TRAILER,
  POLICY_FILE,
  REQUEST_TARGET,
  EGRESS_HOST,
];
const HELP = `Usage: npm run fuzz -- [OPTIONS]

Changes inputs at random and keeps those that reach new code, for each of:
${TARGETS.map(({ name }) => `  ${name}`).join('\n')}

Options:
  --seconds N   for each; 20
  --seed N      of the random numbers; 1
`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) process.stdout.write(HELP);
else run();

function run(): void {
  const coverage = startCoverage((url) => url.includes('/packages/'));
  for (const target of TARGETS) {
    const result = runTarget(target, coverage, {
      seconds: Number(values.seconds),
      seed: Number(values.seed),
      folder: join(PROJECT.root, 'build/fuzz'),
    });
    const { cases, corpus, failure } = result;
    const end = failure === undefined ? 'held' : `FAILED: the input is in ${failure}`;
    process.stdout.write(`${target.name}: ${cases} cases, ${corpus} kept, ${end}\n`);
    if (failure !== undefined) process.exitCode = 1;
  }
  coverage.close();
}
