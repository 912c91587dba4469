/** Measures: `npm run bench`, or `npm run bench -- --help`. */
import { parseArgs } from 'node:util';
import { writeResults, type Measurement } from './report/results-file.ts';
import { PROJECT } from '../test/harness/project.ts';
import { runEgress } from './scenarios/egress.ts';
import { runFirstRequest } from './scenarios/first-request.ts';
import { runHot } from './scenarios/hot.ts';
import { runLimits } from './scenarios/limits.ts';
import { runSoak } from './scenarios/soak.ts';

/** How thoroughly is measured. */
export type BenchOptions = { rounds: number; seconds: number };

/** What a scenario found: text for people, and the samples. `floorsHold` is false when a floor of the design was missed. */
export type ScenarioResult = { text: string; measurements: Measurement[]; floorsHold: boolean };

const SCENARIOS: Record<string, (options: BenchOptions) => Promise<ScenarioResult>> = {
  hot: runHot,
  limits: runLimits,
  'first-request': runFirstRequest,
  egress: runEgress,
  soak: runSoak,
};

const HELP = `Usage: npm run bench -- [SCENARIO…] [OPTIONS]

Scenarios, all where none is named:
  hot      a small and a JavaScript function that are in use, in the three isolations, against wasmtime serve
  limits   how late a function is stopped that runs for too long
  first-request
           the first request of a function by the tier that has it: bucket, disk, memory
  egress   what a brokered connection costs against a direct one, and 500 MB through one
  soak     honest functions beside hostile ones, and what is left of it all

Options:
  --rounds N     rounds, of which the median counts; 3
  --seconds N    seconds of load for each number in a round; 3
  --save FILE    writes all samples as JSON
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    save: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
process.exitCode = values.help ? printHelp() : await run();

function printHelp(): number {
  process.stdout.write(HELP);
  return 0;
}

async function run(): Promise<number> {
  const options = { rounds: positive('rounds', values.rounds), seconds: positive('seconds', values.seconds) };
  const names = positionals.length === 0 ? Object.keys(SCENARIOS) : positionals;
  const unknown = names.filter((name) => !(name in SCENARIOS));
  if (unknown.length > 0 || Number.isNaN(options.rounds + options.seconds)) {
    process.stderr.write(`unknown: ${unknown.join(', ')}\n\n${HELP}`);
    return 2;
  }
  const measurements: Measurement[] = [];
  let floorsHold = true;
  for (const name of names) {
    const result = await SCENARIOS[name]!(options);
    process.stdout.write(`\n${result.text}\n`);
    measurements.push(...result.measurements);
    floorsHold &&= result.floorsHold;
  }
  if (values.save !== undefined) writeResults(values.save, measurements, PROJECT.root);
  return floorsHold ? 0 : 1;
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  process.stderr.write(`--${name}: ${text} is not a positive whole number\n`);
  return NaN;
}
