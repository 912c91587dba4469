import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signArtifact } from '@playa/common/artifact-trailer';
import { openSigningKey } from '@playa/common/key-store';
import { ConfigError } from '../config/config-error.ts';
import type { Config } from '../config/options.ts';
import { startDoctorServer, type DoctorServer } from './doctor-server.ts';
import type { Finding } from './finding.ts';
import { DOCTOR_LOG_BYTES, DOCTOR_WALL_MS, GUEST_ATTACKS } from './guest-attacks.ts';
import { ask } from './http-answer.ts';
import { readAttackNames, readRunnerAnswer } from './runner-attacks.ts';
import { inspectSandboxes, WEAK_SANDBOX } from './sandbox-inspection.ts';

/** What the doctor needs besides the configuration of the server. */
export type DoctorParts = {
  /** Native code of the hostile function, as set-up compiles it. */
  hostileFunction: string;
  /** Stands in for a runner that was taken over. */
  hostileRunner: string;
  wasmtimeVersion: string;
};

const FUNCTION = 'hostile';
/** What attacks may fill before they are stopped. */
const DOCTOR_MEMORY_BYTES = 64 * 1024 * 1024;
const ANSWER_LIMIT_MS = 20_000;
const TARGETS: Record<string, string> = { x64: 'x86_64-unknown-linux-gnu', arm64: 'aarch64-unknown-linux-gnu' };

/**
 * Attacks the platform on this host, with the operator's configuration, through the shipped program: as a function, as a runner that was
 * taken over, and by looking at the sandboxes from outside.
 * @throws {ConfigError} when a server cannot be started or a part of the doctor is missing.
 */
export async function examine(config: Config, parts: DoctorParts): Promise<Finding[]> {
  for (const file of [parts.hostileFunction, parts.hostileRunner]) {
    if (!existsSync(file)) throw new ConfigError(`${file} is missing; \`npm start\` in the source tree builds it`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'playa-doctor-'));
  try {
    const ours = await prepare(config, parts, folder);
    const asFunction = await withServer(ours, async (server) => [
      ...(await attackAsFunction(server)),
      ...(await inspectBusy(server)),
    ]);
    const asRunner = await withServer({ ...ours, runner: parts.hostileRunner }, attackAsRunner);
    return [...asFunction, ...asRunner];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A bucket with the hostile function, signed by a key made for it. */
async function prepare(config: Config, parts: DoctorParts, folder: string): Promise<Config> {
  const [bucket, keys] = [join(folder, 'bucket'), join(folder, 'keys')];
  mkdirSync(bucket);
  const elf = readFileSync(parts.hostileFunction);
  const sha256 = createHash('sha256').update(elf).digest('hex');
  const trailer = signArtifact(
    {
      name: FUNCTION,
      kind: 'component',
      source: { kind: 'component', sha256 },
      engine: {
        wasmtime: parts.wasmtimeVersion,
        target: TARGETS[process.arch] ?? process.arch,
        cpu: 'baseline',
        flags: ['fuel', 'epoch-interruption'],
      },
      world: 'http-0.2',
      builtAt: new Date().toISOString(),
      builder: 'playa doctor',
      elf: { sha256, bytes: elf.length },
    },
    await openSigningKey(keys),
  );
  writeFileSync(join(bucket, `${FUNCTION}.cwasm`), Buffer.concat([elf, trailer]));
  return {
    ...config,
    bucket,
    keys,
    listen: '127.0.0.1:0',
    adminListen: '',
    secrets: '',
    logLevel: 'info',
    poolSize: 1,
    wallMs: DOCTOR_WALL_MS,
    logBytes: DOCTOR_LOG_BYTES,
    memoryBytes: DOCTOR_MEMORY_BYTES,
  };
}

async function withServer(config: Config, attack: (server: DoctorServer) => Promise<Finding[]>): Promise<Finding[]> {
  let server: DoctorServer;
  try {
    server = await startDoctorServer(config);
  } catch (error) {
    // It looks at its first sandbox itself, and does not start where a layer is missing.
    const detail = (error as Error).message;
    if (!detail.includes(WEAK_SANDBOX)) throw error;
    return [{ kind: 'sandbox', name: 'start', held: false, detail }];
  }
  try {
    return await attack(server);
  } finally {
    await server.stop();
  }
}

async function attackAsFunction(server: DoctorServer): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name, path, holds } of GUEST_ATTACKS) {
    const before = server.loggedBytes();
    const url = `${server.url}/invoke/${FUNCTION}.cwasm${path.replace('PORT', new URL(server.url).port)}`;
    const answer = await ask(url, ANSWER_LIMIT_MS);
    const next = await ask(`${server.url}/invoke/${FUNCTION}.cwasm`, ANSWER_LIMIT_MS);
    const held = holds(answer, server.loggedBytes() - before);
    const first = answer.outcome || answer.text.split('\n', 1)[0]!.slice(0, 100);
    const detail = next.status === 200 ? first : `${first}; the next request failed: ${next.outcome}`;
    findings.push({ kind: 'guest', name, held: held && next.status === 200, detail });
  }
  return findings;
}

/** Looks at the sandboxes while a function runs. */
async function inspectBusy(server: DoctorServer): Promise<Finding[]> {
  const running = ask(`${server.url}/invoke/${FUNCTION}.cwasm/never`, ANSWER_LIMIT_MS);
  // A second one is there only when the first is being served.
  await ask(`${server.url}/invoke/${FUNCTION}.cwasm`, ANSWER_LIMIT_MS);
  const findings = await inspectSandboxes(server.pid);
  await running;
  return findings;
}

async function attackAsRunner(server: DoctorServer): Promise<Finding[]> {
  const list = await ask(`${server.url}/invoke/${FUNCTION}.cwasm`, ANSWER_LIMIT_MS);
  const attacks = readAttackNames(list);
  const findings: Finding[] = [
    { kind: 'runner', name: 'list of attacks', held: attacks.length > 0, detail: `${attacks.length}` },
  ];
  for (const attack of attacks) {
    const answer = await ask(`${server.url}/invoke/${FUNCTION}.cwasm/${attack}`, ANSWER_LIMIT_MS);
    findings.push({ kind: 'runner', name: attack, ...readRunnerAnswer(attack, answer) });
  }
  return findings;
}
