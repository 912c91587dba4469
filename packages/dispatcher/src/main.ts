import { WASMTIME_VERSION } from './artifacts/engine-version.ts';
import { runKeysCommand } from '@playa/common/keys-command';
import { BUCKET_COMMANDS } from './commands/commands.ts';
import { runCommand } from './commands/command.ts';
import { ConfigError } from './config/config-error.ts';
import { configurationPage, serveHelp } from './config/describe-options.ts';
import { loadConfig } from './config/load-config.ts';
import { examine } from './doctor/doctor.ts';
import { DOCTOR_PARTS } from './doctor/doctor-parts.ts';
import { describeFindings } from './doctor/finding.ts';
import { describeSecondFence, isSecondFenceActive } from './egress/second-fence.ts';
import { outcomesPage } from './outcome/describe-outcomes.ts';
import { openLogger } from './observe/logger.ts';
import { limitsPage } from './policy/describe-limits.ts';
import { serve } from './serve.ts';

/** What the program ends with. */
export const EXIT = {
  ok: 0,
  /** Something failed that is not one of the below. */
  failure: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** Invocations were cut off as they did not finish within the drain time. */
  drainIncomplete: 3,
  /** A second signal came while it drained. */
  forced: 4,
} as const;

const HELP = `Usage: playa COMMAND

Commands:
  serve                Serves the functions of a bucket; playa serve --help lists its options.
${bucketCommandLines()}
  doctor               Attacks this host's sandboxes as a hostile function would, and says what held. Takes the options of serve, and --json.
  keys VERB            Shows and changes the keys that sign functions and that are trusted; playa keys --help lists the verbs.
  docs PAGE            Prints a page of the documentation that derives from the program: configuration, limits, outcomes.
  --version            Prints the version.
`;

const [command, ...args] = process.argv.slice(2);
process.exitCode = await run(command, args);

async function run(name: string | undefined, rest: string[]): Promise<number> {
  try {
    switch (name) {
      case 'serve':
        if (rest.includes('--help')) return print(serveHelp());
        return await runServe(rest);
      case 'doctor':
        return await runDoctor(rest);
      case 'keys':
        return await runKeysCommand(rest, process);
      case 'docs':
        return print(docsPage(rest));
      case '--version':
        return print('playa 0.1.0\n');
      case '--help':
      case 'help':
        return print(HELP);
      default:
        if (name !== undefined && Object.hasOwn(BUCKET_COMMANDS, name)) {
          return await runCommand(await BUCKET_COMMANDS[name]!.load(), rest, process);
        }
        throw new ConfigError(name === undefined ? 'a command is missing' : `unknown command ${name}`);
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`playa: ${error.message}\n`);
    if (name !== 'serve') process.stderr.write(`\n${HELP}`);
    return EXIT.usage;
  }
}

async function runServe(rest: string[]): Promise<number> {
  process.title = 'playa: dispatcher';
  const config = loadConfig(rest, process.env);
  const logger = openLogger(config.logLevel);
  const asked = Promise.withResolvers<void>();
  let signals = 0;
  const onSignal = (): void => {
    if (++signals === 1) return asked.resolve();
    logger.flush();
    process.exit(EXIT.forced);
  };
  // Before anything is started: a signal that comes while the server does is obeyed as soon as it is there.
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const server = await serve(config, logger);
  await asked.promise;
  const finished = await server.stop();
  process.exit(finished ? EXIT.ok : EXIT.drainIncomplete);
}

function bucketCommandLines(): string {
  const lines = Object.entries(BUCKET_COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(21)}${summary}`);
  return lines.join('\n');
}

async function runDoctor(rest: string[]): Promise<number> {
  const config = loadConfig(
    rest.filter((argument) => argument !== '--json'),
    process.env,
  );
  const findings = await examine(config, { ...DOCTOR_PARTS, wasmtimeVersion: WASMTIME_VERSION });
  const held = findings.every((finding) => finding.held);
  const secondFence = await isSecondFenceActive();
  const text = `${describeFindings(findings)}${describeSecondFence(secondFence)}`;
  print(rest.includes('--json') ? `${JSON.stringify({ held, secondFence, findings }, null, 2)}\n` : text);
  return held ? EXIT.ok : EXIT.failure;
}

function docsPage(rest: string[]): string {
  if (rest.length === 1 && rest[0] === 'configuration') return configurationPage();
  if (rest.length === 1 && rest[0] === 'limits') return limitsPage();
  if (rest.length === 1 && rest[0] === 'outcomes') return outcomesPage();
  throw new ConfigError('playa docs knows three pages: configuration, limits, outcomes');
}

function print(text: string): number {
  process.stdout.write(text);
  return EXIT.ok;
}
