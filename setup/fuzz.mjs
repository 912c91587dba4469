// npm run fuzz: sets up what is missing, then fuzzes. Arguments after `npm run fuzz --` go to fuzz/main.ts.
import { runPrepared } from './lib/run-prepared.mjs';

await runPrepared('fuzz/main.ts');
