import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as startRequest, Agent } from 'node:http';
import { join } from 'node:path';
import type { BenchOptions, ScenarioResult } from '../main.ts';
import { judge, type Requirement } from '../report/requirement.ts';
import type { Measurement } from '../report/results-file.ts';
import { formatNumber, formatTable } from '../report/table.ts';
import { median } from '../statistics.ts';
import { buildGuest } from '../../test/harness/artifacts.ts';
import { makeBucket } from '../../test/harness/test-bucket.ts';
import { startServer, type TestServer } from '../../test/harness/test-server.ts';

const LARGE_BYTES = 500_000_000;
const FETCHES = 100;
/**
 * A brokered stream takes this much of the server's memory at most, however long it is: its window of 256 KiB, what the kernel has not taken yet,
 * and what the requests to the other function leave until they are collected.
 */
const MEMORY_MB: Requirement = { floor: 32, aim: 8, better: 'lower' };

/** What a brokered connection costs against a direct one: latency, throughput, memory, and what other functions notice of it. */
export async function runEgress({ rounds }: BenchOptions): Promise<ScenarioResult> {
  const upstream = await startUpstream();
  const { url } = upstream;
  const bucket = makeBucket({ egress: await buildGuest('egress'), probe: await buildGuest('probe') });
  const server = await startServer(bucket.path, {
    'egress-allow': '127.0.0.1',
    'egress-allow-private': '127.0.0.1',
    'egress-bytes': '4g',
    'wall-ms': 240_000,
    'cpu-ms': 240_000,
  });
  const samples = {
    direct: [] as number[],
    brokered: [] as number[],
    rate: [] as number[],
    directRate: [] as number[],
  };
  const alone: number[] = [];
  const beside: number[] = [];
  const grown: number[] = [];
  try {
    // Not counted: the server's heap finds its size.
    await pings(server, () => readBrokered(server, `${url}large`));
    for (let round = 0; round < rounds; round++) {
      samples.direct.push(await directFetches(url));
      samples.brokered.push(await brokeredFetches(server, url));
      alone.push(...(await pings(server, async () => undefined)));
      let startedMs = performance.now();
      await readDirectly(`${url}large`);
      samples.directRate.push(LARGE_BYTES / 1000 / (performance.now() - startedMs));
      startWatermark(server.pid);
      const beforeMb = residentMb(server.pid, 'VmRSS');
      startedMs = performance.now();
      beside.push(...(await pings(server, () => readBrokered(server, `${url}large`))));
      samples.rate.push(LARGE_BYTES / 1000 / (performance.now() - startedMs));
      grown.push(residentMb(server.pid, 'VmHWM') - beforeMb);
    }
  } finally {
    await server.dispose();
    upstream.stop();
    bucket.remove();
  }
  const grownMb = Math.max(...grown);
  const rows = [
    ['a fetch on an open connection, direct', `${formatNumber(median(samples.direct) * 1000)} µs`],
    ['the same from a function, brokered', `${formatNumber(median(samples.brokered) * 1000)} µs`],
    [`${LARGE_BYTES / 1e6} MB, direct`, `${formatNumber(median(samples.directRate))} MB/s`],
    ['the same to a function that adds up its bytes', `${formatNumber(median(samples.rate))} MB/s`],
    ['memory of the server meanwhile, grown by at most', `${formatNumber(grownMb)} MB (≤ ${MEMORY_MB.floor})`],
    ['another function, p50 alone / meanwhile', `${formatNumber(median(alone))} / ${formatNumber(median(beside))} ms`],
    ['the longest of its requests', `${formatNumber(Math.max(...alone))} / ${formatNumber(Math.max(...beside))} ms`],
  ];
  const measurements: Measurement[] = [
    { scenario: 'egress', params: { what: 'fetch, direct' }, unit: 'ms', samples: samples.direct },
    { scenario: 'egress', params: { what: 'fetch, brokered' }, unit: 'ms', samples: samples.brokered },
    { scenario: 'egress', params: { what: 'stream, direct' }, unit: 'MB/s', samples: samples.directRate },
    { scenario: 'egress', params: { what: 'stream, brokered' }, unit: 'MB/s', samples: samples.rate },
    { scenario: 'egress', params: { what: 'memory' }, unit: 'MB', samples: grown },
    { scenario: 'egress', params: { what: 'another function, alone' }, unit: 'ms', samples: alone },
    { scenario: 'egress', params: { what: 'another function, meanwhile' }, unit: 'ms', samples: beside },
  ];
  const floorsHold = judge(grownMb, MEMORY_MB) !== 'below';
  return { text: formatTable(['egress', 'median'], rows), measurements, floorsHold };
}

async function startUpstream(): Promise<{ url: string; stop: () => void }> {
  const program = join(import.meta.dirname, '../load/upstream.ts');
  const child = spawn(process.execPath, [program, String(LARGE_BYTES)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { url: `http://127.0.0.1:${line.toString().trim()}/`, stop: () => child.stdin.end() };
}

/** Milliseconds of one fetch, of many on one connection. */
async function directFetches(url: string): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const startedMs = performance.now();
  for (let index = 0; index < FETCHES; index++) await readDirectly(url, agent);
  agent.destroy();
  return (performance.now() - startedMs) / FETCHES;
}

function readDirectly(url: string, agent?: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    startRequest(url, { ...(agent === undefined ? {} : { agent }) }, (response) => {
      response.on('end', resolve).on('error', reject).resume();
    })
      .on('error', reject)
      .end();
  });
}

/** The same within a function: what an invocation with many takes longer than one with one. */
async function brokeredFetches(server: TestServer, url: string): Promise<number> {
  const time = async (times: number): Promise<number> => {
    const startedMs = performance.now();
    await server.invoke(`egress/fetch?times=${times}&url=${url}`);
    return performance.now() - startedMs;
  };
  const one = await time(1);
  return ((await time(FETCHES + 1)) - one) / FETCHES;
}

/** Milliseconds of requests to another function while `work` goes on, at least twenty. */
async function pings(server: TestServer, work: () => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  let busy = true;
  const working = work().finally(() => (busy = false));
  while (busy || times.length < 20) {
    const startedMs = performance.now();
    await server.invoke('probe');
    times.push(performance.now() - startedMs);
  }
  await working;
  return times;
}

/** Reads 500 MB within a function. */
async function readBrokered(server: TestServer, url: string): Promise<void> {
  const { text } = await server.invoke(`egress/fetch?url=${url}`);
  if (!text.includes(`bytes: ${LARGE_BYTES}`)) throw new Error(`not all of it came: ${text}`);
}

/** From here on `VmHWM` is the most that a process has had (proc_pid_clear_refs(5)). */
function startWatermark(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function residentMb(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)![1]) / 1024;
}
