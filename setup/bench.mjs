// npm run bench: sets up what is missing, then measures. Arguments after `npm run bench --` go to bench/main.ts.
import { relay } from './lib/relay.mjs';
import { openSession, statusOfSignal } from './lib/session.mjs';
import { prepare } from './prepare.mjs';

const session = openSession();
const { project, signal } = session;
const succeeded =
  (await prepare(session)) &&
  (await relay(project.nodeCommand, ['bench/main.ts', ...process.argv.slice(2)], {
    cwd: project.root,
    env: project.env,
    signal,
  }));
session.end();
const stoppedBy = session.stoppedBy();
process.exitCode = stoppedBy !== undefined ? statusOfSignal(stoppedBy) : succeeded ? 0 : 1;
