import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFolderObjectStore } from '@playa/common/folder-object-store';
import type { ObjectStore } from '@playa/common/object-store';
import { parseTail } from '@playa/common/artifact-trailer';
import type { BenchOptions, ScenarioResult } from '../main.ts';
import { formatRequirement } from '../report/format-requirement.ts';
import { judge, type Requirement } from '../report/requirement.ts';
import type { Measurement } from '../report/results-file.ts';
import { formatNumber, formatTable } from '../report/table.ts';
import { median } from '../statistics.ts';
import { buildMeasuredFunctions } from '../subjects/functions.ts';
import { forge } from '../../test/harness/forged-artifacts.ts';
import { openGatewayStore } from '../../test/stores/gateway-store.ts';
import { makeTemporaryFolder } from '../../test/harness/temporary-folder.ts';
import { startServer, type TestServer } from '../../test/harness/test-server.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway } from '../../test/stores/versitygw.ts';

const FUNCTIONS_PER_ROUND = 4;
const POOL_SIZE = 8;
const ARTIFACT_BYTES = 5_000_000;
const TIERS = ['bucket', 'disk', 'ram'] as const;
const STEPS = ['artifact', 'pool', 'load', 'guest'] as const;
const PREFIX = 'f';
/** It is the function that is new and not the server: others were fetched and called before, which has let V8 compile the server's own code. */
const WARM_UP = { functions: Array.from({ length: 40 }, (_, index) => `warm-${index}`), requests: 400, atOnce: 4 };

type Tier = (typeof TIERS)[number];
type Sample = { totalMs: number } & Record<(typeof STEPS)[number], number>;

/** Client's time of the first request on a sandbox, for an artifact of 5 MB: in the bucket on loopback; on the disk, known to nobody; known. */
const REQUIREMENTS: Partial<Record<Tier, Requirement>> = {
  bucket: { floor: 15, aim: 5, better: 'lower' },
  ram: { floor: 3, aim: 1, better: 'lower' },
};

/** First requests of functions that nobody has called yet, by the tier that has them, each with its split by step. */
export async function runFirstRequest({ rounds }: BenchOptions): Promise<ScenarioResult> {
  const names = Array.from({ length: rounds * FUNCTIONS_PER_ROUND }, (_, index) => `first-${index}`);
  const missing = gatewayMissing();
  const home = makeTemporaryFolder('bench-first');
  const gateway = missing === undefined ? await startGateway(['bucket']) : undefined;
  const folder = join(home.path, 'bucket');
  const store = gateway === undefined ? createFolderObjectStore(folder) : await openGatewayStore(gateway.url);
  await putArtifacts(store, [...WARM_UP.functions, ...names]);
  await store.close();
  writeKeys(home.path);
  const bucket =
    gateway === undefined
      ? join(folder, PREFIX)
      : `s3://bucket/${PREFIX}?endpoint=${gateway.url}&region=${GATEWAY_REGION}`;
  // Enough sandboxes that the next one is ready when a function asks for it.
  const options = {
    isolation: 'sandbox',
    'pool-size': POOL_SIZE,
    'revalidate-ms': '1h',
    'state-dir': join(home.path, 'state'),
  };
  const samples: Record<Tier, Sample[]> = { bucket: [], disk: [], ram: [] };
  try {
    let server = await startServer(bucket, options, home.path);
    await warmUp(server);
    for (const name of names) samples.bucket.push(await measure(server, name, 'bucket', gateway !== undefined));
    await server.stop();
    server = await startServer(bucket, options, home.path);
    await warmUp(server);
    for (const name of names) samples.disk.push(await measure(server, name, 'disk', gateway !== undefined));
    for (const name of names) samples.ram.push(await measure(server, name, 'ram', true));
    await server.stop();
  } finally {
    await gateway?.remove();
    home.remove();
  }
  return report(samples, missing);
}

/** Many functions of the size that the design speaks of, no two alike. */
async function putArtifacts(store: ObjectStore, names: readonly string[]): Promise<void> {
  const [small] = await buildMeasuredFunctions();
  const artifact = readFileSync(small!.artifact);
  const { elfBytes, manifest } = parseTail(artifact, artifact.length);
  // The loader finds everything through the head of the ELF; what follows is ignored, but hashed and copied.
  const code = Buffer.concat([artifact.subarray(0, elfBytes), randomBytes(ARTIFACT_BYTES - elfBytes)]);
  const { kind, world } = manifest;
  for (const name of names) {
    code.write(name, code.length - 100);
    await store.put(`${PREFIX}/${name}.cwasm`, await forge(code, { name, kind, world }));
  }
}

function writeKeys(home: string): void {
  mkdirSync(join(home, '.aws'));
  const { accessKeyId, secretAccessKey } = GATEWAY_KEYS;
  const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
  writeFileSync(join(home, '.aws/credentials'), `[default]\n${keys}`);
}

async function warmUp(server: TestServer): Promise<void> {
  const { functions, requests, atOnce } = WARM_UP;
  for (let sent = 0; sent < requests; sent += atOnce) {
    await Promise.all(
      Array.from({ length: atOnce }, (_, at) => server.invoke(functions[(sent + at) % functions.length]!)),
    );
  }
}

async function measure(server: TestServer, name: string, tier: Tier, checked: boolean): Promise<Sample> {
  // The sandbox that takes the place of the last one's is not part of this request.
  while (!(await server.get('/readyz')).text.includes(`${POOL_SIZE} waiting`));
  const startedMs = performance.now();
  const answer = await server.invoke(name);
  const totalMs = performance.now() - startedMs;
  if (answer.status !== 200) throw new Error(`${name} was answered with ${answer.status}: ${answer.text}`);
  const account = await server.log.invocation(answer.requestId);
  if (checked && account['tier'] !== tier) throw new Error(`${name} came from ${account['tier']}, not from ${tier}`);
  const timing = String(answer.headers['server-timing'] ?? answer.trailers['server-timing']);
  const stepMs = (step: string): number => Number(new RegExp(`${step};dur=([0-9.]+)`).exec(timing)?.[1] ?? 0);
  return { totalMs, artifact: stepMs('artifact'), pool: stepMs('pool'), load: stepMs('load'), guest: stepMs('guest') };
}

function report(samples: Record<Tier, Sample[]>, missing: string | undefined): ScenarioResult {
  const measurements: Measurement[] = [];
  let floorsHold = true;
  const rows = TIERS.map((tier) => {
    const of = (part: keyof Sample): number[] => samples[tier].map((sample) => sample[part]);
    for (const part of ['totalMs', ...STEPS] as const) {
      const params = { tier, part, artifactBytes: ARTIFACT_BYTES };
      measurements.push({ scenario: 'first-request', params, unit: 'ms', samples: of(part) });
    }
    const totalMs = median(of('totalMs'));
    const requirement = REQUIREMENTS[tier];
    const verdict = requirement && judge(totalMs, requirement);
    if (verdict === 'below') floorsHold = false;
    const cells = requirement === undefined ? ['', '', ''] : formatRequirement(requirement, verdict!);
    return [tier, formatNumber(totalMs), ...STEPS.map((step) => formatNumber(median(of(step)))), ...cells];
  });
  const head = ['first request, 5 MB, ms', 'total', ...STEPS, 'floor', 'aim', ''];
  const note = missing === undefined ? '' : `\n"bucket" is a folder: ${missing}`;
  return { text: `${formatTable(head, rows)}${note}`, measurements, floorsHold };
}
