import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Tier } from '../artifacts/artifact.ts';
import type { Invocation } from '../lifecycle/invocation.ts';
import { OUTCOMES, type OutcomeCode } from '../outcome/registry.ts';

/** Counts what happens, for whoever scrapes it. */
export type Metrics = {
  /** Counts an invocation that is over. */
  record: (invocation: Invocation) => void;
  /** All of it in the text format of Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/). */
  text: () => string;
  close: () => void;
};

/** A value that is read when it is asked for. */
export type Gauge = { name: string; help: string; read: () => number };

/** Upper bounds of the classes of durations, in seconds. */
const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;
/** Every tier there is, each with what it begins at. */
const NO_LOOKUPS: Readonly<Record<Tier, number>> = { ram: 0, disk: 0, bucket: 0, compile: 0 };

/** Labels are outcomes and tiers alone: names of functions come from strangers, and their number has no bound. The accounting has them. */
export function createMetrics(deps: { gauges: readonly Gauge[]; nowMs: () => number }): Metrics {
  const outcomes = new Map<OutcomeCode, number>(Object.keys(OUTCOMES).map((code) => [code as OutcomeCode, 0]));
  const tiers = { ...NO_LOOKUPS };
  const durations = Array.from({ length: BUCKETS_S.length + 1 }, () => 0);
  let durationsSumS = 0;
  const loopDelay = monitorEventLoopDelay({ resolution: 10 });
  loopDelay.enable();

  return {
    record: ({ outcome, tier, startedMs }) => {
      outcomes.set(outcome, outcomes.get(outcome)! + 1);
      if (tier !== undefined) tiers[tier]++;
      const seconds = (deps.nowMs() - startedMs) / 1000;
      let bucket = 0;
      while (bucket < BUCKETS_S.length && seconds > BUCKETS_S[bucket]!) bucket++;
      durations[bucket]!++;
      durationsSumS += seconds;
    },
    text: () => {
      const lines: string[] = [];
      const family = (name: string, type: string, help: string): void =>
        void lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      family('playa_invocations_total', 'counter', 'Invocations by how they ended.');
      for (const [code, count] of outcomes) {
        lines.push(`playa_invocations_total{outcome="${code}",blame="${OUTCOMES[code].blame}"} ${count}`);
      }
      family('playa_artifact_lookups_total', 'counter', 'Look-ups of functions by the tier that answered.');
      for (const [tier, count] of Object.entries(tiers))
        lines.push(`playa_artifact_lookups_total{tier="${tier}"} ${count}`);
      family(
        'playa_invocation_duration_seconds',
        'histogram',
        'From the arrival of a request to the end of its answer.',
      );
      let below = 0;
      for (const [index, count] of durations.entries()) {
        below += count;
        lines.push(`playa_invocation_duration_seconds_bucket{le="${BUCKETS_S[index] ?? '+Inf'}"} ${below}`);
      }
      lines.push(
        `playa_invocation_duration_seconds_sum ${durationsSumS}`,
        `playa_invocation_duration_seconds_count ${below}`,
      );
      family(
        'playa_event_loop_delay_max_seconds',
        'gauge',
        'The longest stall of the event loop since the last scrape.',
      );
      lines.push(`playa_event_loop_delay_max_seconds ${loopDelay.max / 1e9}`);
      loopDelay.reset();
      for (const { name, help, read } of deps.gauges) {
        family(name, 'gauge', help);
        lines.push(`${name} ${read()}`);
      }
      return `${lines.join('\n')}\n`;
    },
    close: () => loopDelay.disable(),
  };
}
