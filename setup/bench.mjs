// npm run bench: sets up what is missing, then measures. Arguments after `npm run bench --` go to bench/main.ts.
import { runPrepared } from './lib/run-prepared.mjs';

await runPrepared('bench/main.ts');
