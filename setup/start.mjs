// npm start: sets up what is missing, then serves the bucket. Arguments after `npm start --` go to `playa serve`.
import { openSession, statusOfSignal } from './lib/session.mjs';
import { prepare } from './prepare.mjs';
import { serve } from './serve.mjs';

const session = openSession();
const isReady = await prepare(session);
session.end();
const signal = session.stoppedBy();
if (signal !== undefined) {
  process.exitCode = statusOfSignal(signal);
} else {
  process.exitCode = isReady ? await serve(session.project, process.argv.slice(2), session.parent) : 1;
}
