import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { openSigningKey } from '@playa/common/key-store';
import { openUsageDatabase } from './accounting/usage-database.ts';
import { createUsageLedger } from './accounting/usage-ledger.ts';
import { createAdmin } from './admin/admin.ts';
import { createAdmission } from './admission/admission.ts';
import { createClientAddress } from './admission/client-address.ts';
import { createMemoryGauge } from './admission/memory-gauge.ts';
import { createRateLimiter } from './admission/rate-limiter.ts';
import { describeHostEngine } from './artifacts/engine-check.ts';
import { DISK_STORE_FOLDERS } from './artifacts/disk-store.ts';
import { NAME_RECORDS_FOLDER } from './artifacts/name-records.ts';
import { openArtifacts } from './artifacts/open-artifacts.ts';
import { openBucket } from './artifacts/open-bucket.ts';
import { ConfigError } from './config/config-error.ts';
import { parseAddress } from './config/option-value.ts';
import type { Config } from './config/options.ts';
import { openEgress } from './egress/open-egress.ts';
import { inspectSandboxes, PROCESSES_SEEN, WEAK_SANDBOX } from './doctor/sandbox-inspection.ts';
import { createVirtualHosts, joinCall } from './egress/virtual-hosts.ts';
import { handleRequest, type RequestDeps } from './lifecycle/handle-request.ts';
import { createInvocation, type Invocation } from './lifecycle/invocation.ts';
import { shutDown } from './lifecycle/shutdown.ts';
import { WASMTIME_VERSION } from './artifacts/engine-version.ts';
import { createAccessLog } from './observe/access-log.ts';
import { createBodyGarbage } from './lifecycle/body-garbage.ts';
import { createFunctionLog } from './observe/function-log.ts';
import { createMetrics } from './observe/metrics.ts';
import type { OpenLogger } from './observe/logger.ts';
import { createPolicyGranter } from './policy/policy-granter.ts';
import { NO_SECRETS, openSecretStore } from './policy/secret-store.ts';
import { createRunnerBudget } from './pool/runner-budget.ts';
import { createRunnerLender } from './pool/runner-lender.ts';
import { createRunnerPool } from './pool/runner-pool.ts';
import { createUserIds } from './pool/user-ids.ts';
import { createStreamNumbers } from './runner/stream-numbers.ts';
import { createServer } from './server/create-server.ts';
import { addHealthRoutes, type ReadinessCheck } from './server/health-routes.ts';
import { startSpawner } from './spawner/spawner.ts';
import { findProgram } from './spawner/find-program.ts';
import { openStateDirectory } from './state/state-directory.ts';

/** A running server. */
export type PlayaServer = {
  /** Where it listens: `http://127.0.0.1:8080`. */
  url: string;
  /** Drains and ends; resolves with whether everything under way could finish. */
  stop: () => Promise<boolean>;
};

/** Clients whose requests are counted at a time. */
const REMEMBERED_CLIENTS = 100_000;

const nowMs = (): number => performance.now();

/**
 * Starts the server: state folder, spawner, pools, catalogue, HTTP. Resolves when it can answer.
 * @throws {ConfigError} for what the operator has to change.
 */
export async function serve(config: Config, logger: OpenLogger): Promise<PlayaServer> {
  const { log, flush } = logger;
  const bucket = await openBucket(config.bucket, log);
  const clientAddress = createClientAddress(config.trustedProxies);
  const secrets = config.secrets === '' ? NO_SECRETS : openSecretStore(config.secrets);
  // Made on first use, so that build-cwasm and the server of one user agree without a word.
  await openSigningKey(config.keys);
  const state = openStateDirectory(config.stateDir, config, [...DISK_STORE_FOLDERS, NAME_RECORDS_FOLDER]);
  const virtualHosts = createVirtualHosts((socket) => server.server.emit('connection', socket));
  const egress = openEgress({ config, stateRoot: state.root, virtualHosts, log, nowMs });
  const { runner, seccompFilter } = state;
  const programs = { bubblewrap: findBubblewrap(config.bubblewrap), runner, seccompFilter };
  const spawner = await startSpawner({ runDirectory: state.run, spawner: state.spawner, programs, log });
  const userIds = createUserIds(config.firstSandboxUid, process.getuid?.() === 0);
  const poolDeps = {
    spawner,
    userIds,
    size: config.poolSize,
    startsAtOnce: config.startsAtOnce,
    wasmtime: WASMTIME_VERSION,
    streamNumber: createStreamNumbers(),
    nowMs,
    log,
  };
  const pools = {
    many: createRunnerPool({ ...poolDeps, lanes: config.lanesPerRunner }),
    single: createRunnerPool({ ...poolDeps, lanes: 1 }),
  };
  const pool = config.isolation === 'sandbox' ? pools.single : pools.many;
  const warmed = pool.warm();

  const budget = createRunnerBudget(config.maxRunners, nowMs);
  const lender = createRunnerLender({
    pools,
    budget,
    egress,
    lanesPerRunner: config.lanesPerRunner,
    concurrency: config.concurrencyPerProcess,
    instanceWorkers: config.processesPerRunner,
    maxRunners: config.maxRunners,
    memoryIsShort: createMemoryGauge({ minFreeBytes: config.minFreeMemoryBytes, nowMs }).isShort,
    onUsed: (artifact, agoMs) => artifacts.used(artifact, agoMs),
    runnerIdleMs: config.runnerIdleMs,
    nowMs,
  });
  const artifacts = await openArtifacts({
    bucket: bucket.store,
    config,
    state,
    engine: describeHostEngine(WASMTIME_VERSION),
    bubblewrap: programs.bubblewrap,
    userIds,
    grant: createPolicyGranter(config, secrets),
    onRetired: (artifact) => lender.retire(artifact),
    filesInUse: lender.filesInUse,
    nowMs,
    log,
  });

  let inFlight = 0;
  let draining = false;
  let onIdle: (() => void) | undefined;
  const writeAccount = createAccessLog(logger, nowMs);
  const usage = createUsageLedger({
    database: openUsageDatabase(join(state.root, 'usage.sqlite')),
    nowMs: Date.now,
    monotonicMs: nowMs,
    log,
  });
  const metrics = createMetrics({
    gauges: [
      { name: 'playa_requests_in_flight', help: 'Requests that are under way.', read: () => inFlight },
      { name: 'playa_sandboxes_waiting', help: 'Sandboxes that wait in the pool.', read: () => pool.state().ready },
      { name: 'playa_runners_bound', help: 'Sandboxes that are bound to functions.', read: budget.taken },
      {
        name: 'process_resident_memory_bytes',
        help: 'Resident memory of the dispatcher.',
        read: () => process.memoryUsage.rss(),
      },
    ],
    nowMs,
  });
  const deps: RequestDeps = {
    admission: createAdmission({
      maxInFlight: config.maxInFlight,
      clientRequestsPerSecond: config.clientRequestsPerSecond,
      clientAddress,
      clients: createRateLimiter({ maxKeys: REMEMBERED_CLIENTS, nowMs }),
      functions: createRateLimiter({ maxKeys: config.maxFunctions, nowMs }),
    }),
    artifacts,
    lender,
    functionLog: createFunctionLog(log),
    bodyRead: createBodyGarbage(globalThis.gc ?? (() => undefined)),
    nowMs,
    settle: (invocation: Invocation) => {
      writeAccount(invocation);
      usage.record(invocation);
      metrics.record(invocation);
      inFlight--;
      if (inFlight === 0) onIdle?.();
    },
    draining: () => draining,
  };
  const invoke = (request: IncomingMessage, response: ServerResponse): void => {
    inFlight++;
    const caller = virtualHosts.callOf(request.socket);
    if (caller !== undefined) joinCall(request, response, caller);
    void handleRequest(deps, createInvocation(request, response, randomUUID(), nowMs(), caller));
  };

  const readiness = async (): Promise<ReadinessCheck[]> => {
    const { ready, starting, lastFailure } = pool.state();
    return [
      { name: 'accepting', ok: !draining, ...(draining ? { detail: 'the server is about to stop' } : {}) },
      {
        name: 'sandbox',
        ok: lastFailure === undefined,
        detail: lastFailure ?? `${ready} waiting, ${starting} starting`,
      },
      // Better with them, but the other layers hold without.
      { name: 'control groups', ok: true, ...spawner.controlGroups() },
      { name: 'bucket', ok: await bucket.usable(), detail: bucket.store.description },
    ];
  };

  const tokenFile = config.adminTokenFile === '' ? join(state.root, 'admin-token') : config.adminTokenFile;
  const admin =
    config.adminListen === ''
      ? undefined
      : createAdmin({
          address: config.adminListen,
          tokenFile,
          usage,
          invalidate: artifacts.invalidate,
          metrics: metrics.text,
        });
  const closeRunners = async (): Promise<void> => {
    artifacts.close();
    await bucket.store.close();
    lender.close();
    pools.many.close();
    pools.single.close();
    await admin?.close();
    await egress.close();
    await spawner.close();
    await usage.close();
    metrics.close();
    state.remove();
  };

  const server = createServer({
    invoke,
    functionOf: (socket) => virtualHosts.callOf(socket)?.functionName,
    maxRequestHeaderBytes: config.maxRequestHeaderBytes,
  });
  addHealthRoutes(server, readiness);
  const address = parseAddress(config.listen)!;
  try {
    await warmed;
    await checkSandboxes();
  } catch (error) {
    await closeRunners();
    if (error instanceof ConfigError) throw error;
    const hint = '`npm start` in the source tree finds the setting that forbids it; nothing runs without a sandbox';
    throw new ConfigError(`no sandbox can be started: ${(error as Error).message}\n${hint}`, { cause: error });
  }
  try {
    const adminAddress = await admin?.listen();
    if (adminAddress !== undefined) log.info({ ...adminAddress, tokenFile }, 'listening for operators');
    await server.listen(address).catch((error: Error) => {
      throw new ConfigError(`cannot listen on ${config.listen}: ${error.message}`, { cause: error });
    });
  } catch (error) {
    await closeRunners();
    throw error;
  }
  const url = urlOf(server.server.address() as AddressInfo);
  log.info({ url, bucket: bucket.name, isolation: config.isolation, pid: process.pid }, 'listening');
  flush();

  return {
    url,
    stop: async () => {
      draining = true;
      const finished = await shutDown({
        server: server.server,
        inFlight: () => inFlight,
        onIdle: (callback) => (onIdle = callback),
        drainMs: config.drainMs,
        closeRunners,
        log,
      });
      flush();
      return finished;
    },
  };
}

/** The self-attack in brief: a layer that is missing ends the start. `playa doctor` does all of it. */
async function checkSandboxes(): Promise<void> {
  // Without a pool there is nothing to look at yet.
  const missing = (await inspectSandboxes(process.pid)).filter(({ held, name }) => !held && name !== PROCESSES_SEEN);
  if (missing.length === 0) return;
  const list = missing.map(({ name, detail }) => `${name} (${detail})`).join(', ');
  throw new ConfigError(`${WEAK_SANDBOX}: ${list}; \`playa doctor\` says more`);
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function findBubblewrap(name: string): string {
  const path = findProgram(name, process.env['PATH']);
  if (path !== undefined) return path;
  throw new ConfigError(
    `there is no executable ${name}: functions run in sandboxes only; install bubblewrap (apt-get install bubblewrap), or name it with --bubblewrap`,
  );
}
