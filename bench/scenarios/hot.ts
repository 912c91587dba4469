import type { BenchOptions, ScenarioResult } from '../main.ts';
import { measurePaced } from '../load/paced.ts';
import { measureLoad } from '../load/wrk.ts';
import { formatRequirement } from '../report/format-requirement.ts';
import { judge, type Requirement } from '../report/requirement.ts';
import type { Measurement } from '../report/results-file.ts';
import { formatNumber, formatTable } from '../report/table.ts';
import { median } from '../statistics.ts';
import { makeBucket } from '../../test/harness/test-bucket.ts';
import { send } from '../../test/harness/http-client.ts';
import { buildMeasuredFunctions, type MeasuredFunction } from '../subjects/functions.ts';
import { findPeer } from '../subjects/peer-command.ts';
import { startPeer, type Subject } from '../subjects/peer.ts';
import { startPlaya } from '../subjects/playa.ts';
import { HOT_REQUIREMENTS, type HotKey } from './hot-requirements.ts';

const ISOLATIONS = ['instance', 'process', 'sandbox'] as const;
const PEER = 'wasmtime serve';
const CONNECTIONS = 64;
/** Requests of one sample of a sandbox's latency: each waits until the pool is full again. */
const PACED_REQUESTS = 60;
const POOL_SIZE = 4;

/** Of one sample, in which ours and the peer take turns: on a machine that others share, only neighbours in time can be compared. */
const SLICE_SECONDS = 1;

/** All samples of one subject and function; those of ours stand beside the peer's of the same moment. */
type Series = {
  subject: string;
  name: MeasuredFunction['name'];
  requestsPerSecond: number[];
  p50Ms: number[];
  requestsPerSecondRatios: number[];
  p50Ratios: number[];
};

/** A small and a JavaScript function that are in use, in the three isolations, against `wasmtime serve` of the same component. */
export async function runHot({ rounds, seconds }: BenchOptions): Promise<ScenarioResult> {
  const functions = await buildMeasuredFunctions();
  const peerCommand = await findPeer(process.env);
  const bucket = makeBucket(Object.fromEntries(functions.map(({ name, artifact }) => [name, artifact])));
  const servers = new Map<string, Subject>();
  const peers = new Map<string, Subject>();
  const all: Series[] = [];
  try {
    for (const isolation of ISOLATIONS) {
      servers.set(isolation, await startPlaya(bucket.path, { isolation, 'pool-size': POOL_SIZE }));
    }
    for (const { name, component } of functions) peers.set(name, await startPeer(peerCommand, component));
    for (let round = 1; round <= rounds; round++) {
      for (const { name } of functions) {
        for (const isolation of ISOLATIONS) {
          const { url } = servers.get(isolation)!;
          const ours = await openSeries(all, isolation, name, `${url}/invoke/${name}.cwasm`);
          const theirs = await openSeries(all, PEER, name, peers.get(name)!.url);
          for (let slice = 0; slice < seconds; slice += SLICE_SECONDS) {
            await measureSlice(ours, `${url}/invoke/${name}.cwasm`, `${url}/readyz`);
            await measureSlice(theirs, peers.get(name)!.url);
            ours.requestsPerSecondRatios.push(ours.requestsPerSecond.at(-1)! / theirs.requestsPerSecond.at(-1)!);
            ours.p50Ratios.push(ours.p50Ms.at(-1)! / theirs.p50Ms.at(-1)!);
          }
        }
      }
      console.error(`round ${round} of ${rounds} is done`);
    }
  } finally {
    for (const peer of peers.values()) await peer.stop();
    for (const server of servers.values()) await server.stop();
    bucket.remove();
  }
  return summarize(all);
}

async function openSeries(
  all: Series[],
  subject: string,
  name: MeasuredFunction['name'],
  url: string,
): Promise<Series> {
  const known = all.find((candidate) => candidate.subject === subject && candidate.name === name);
  if (known !== undefined) return known;
  const series = { subject, name, requestsPerSecond: [], p50Ms: [], requestsPerSecondRatios: [], p50Ratios: [] };
  all.push(series);
  // The first requests load code, fill caches and start processes.
  await measureLoad(url, CONNECTIONS, 1);
  return series;
}

async function measureSlice(series: Series, url: string, readiness = ''): Promise<void> {
  series.requestsPerSecond.push((await measureLoad(url, CONNECTIONS, SLICE_SECONDS)).requestsPerSecond);
  if (series.subject === 'sandbox') {
    series.p50Ms.push(median(await measurePaced(url, PACED_REQUESTS, () => poolIsFull(readiness))));
  } else series.p50Ms.push((await measureLoad(url, 1, SLICE_SECONDS)).p50Ms);
}

async function poolIsFull(readiness: string): Promise<void> {
  for (;;) {
    if ((await send(readiness)).text.includes(`${POOL_SIZE} waiting`)) return;
  }
}

function summarize(all: readonly Series[]): ScenarioResult {
  let floorsHold = true;
  const rows: string[][] = [];
  const judged: string[][] = [];
  for (const name of ['small', 'javascript'] as const) {
    const seriesOf = (subject: string): Series =>
      all.find((candidate) => candidate.subject === subject && candidate.name === name)!;
    const peer = seriesOf(PEER);
    for (const subject of [...ISOLATIONS, PEER]) {
      const series = seriesOf(subject);
      const values = {
        'requests/s': median(series.requestsPerSecond),
        'requests/s ÷ peer': series === peer ? 1 : median(series.requestsPerSecondRatios),
        'p50 ms': median(series.p50Ms),
        'p50 ÷ peer': series === peer ? 1 : median(series.p50Ratios),
      };
      rows.push([`${name}, ${subject}`, ...Object.values(values).map(formatNumber)]);
      for (const [unit, value] of Object.entries(values)) {
        const requirement: Requirement | undefined = HOT_REQUIREMENTS[`${subject} ${name} ${unit}` as HotKey];
        if (requirement === undefined) continue;
        const verdict = judge(value, requirement);
        floorsHold &&= verdict !== 'below';
        judged.push([`${name}, ${subject}: ${unit}`, formatNumber(value), ...formatRequirement(requirement, verdict)]);
      }
    }
  }
  const head = [`${CONNECTIONS} connections; p50 at one`, 'requests/s', '÷ peer', 'p50 ms', '÷ peer'];
  const text = `${formatTable(head, rows)}\n\n${formatTable(['', 'measured', 'floor', 'aim', ''], judged)}`;
  return { text, measurements: all.flatMap(toMeasurements), floorsHold };
}

function toMeasurements({ subject, name, requestsPerSecond, p50Ms }: Series): Measurement[] {
  const base = { scenario: 'hot', params: { function: name, subject } };
  return [
    { ...base, params: { ...base.params, connections: CONNECTIONS }, unit: 'requests/s', samples: requestsPerSecond },
    { ...base, params: { ...base.params, connections: 1, statistic: 'p50' }, unit: 'ms', samples: p50Ms },
  ];
}
