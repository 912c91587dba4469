import { randomBytes } from 'node:crypto';
import { appendFile, chown, mkdir, open, rm, stat, writeFile } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { COMPILE_FLAGS } from '@playa/build-cwasm/compile/engine-version';
import { signArtifact } from '@playa/common/artifact-trailer';
import { digestFile } from '@playa/common/digest-file';
import type { SigningKey } from '@playa/common/key-store';
import { InvocationError } from '../../outcome/invocation-error.ts';
import type { UserIds } from '../../pool/user-ids.ts';
import type { Tier } from '../artifact.ts';
import { asDiskError } from '../disk-error.ts';
import type { DiskStore, StoredArtifact } from '../disk-store.ts';
import { writeIncoming } from '../incoming-file.ts';
import type { IncomingObject } from '../incoming-object.ts';
import type { NameRecords } from '../name-records.ts';
import type { AcceptTrailer } from '../verify-file.ts';
import { runCompileJob } from './compile-job.ts';
import type { CompileLimits, CompileResult } from './compile-messages.ts';

/** What compiling came to. */
export type CompiledVersion = { content: StoredArtifact; tier: Tier };

/** Compiles what lies in the bucket as WebAssembly. */
export type SourceCompiler = {
  /**
   * Compiles a source, or takes what was made of it before. A source is compiled once, however many names and callers wait.
   * @param etag of the source
   * @param settled whether an earlier version serves meanwhile: then the caller does not wait
   * @throws {InvocationError} `artifact_refused` when it cannot be compiled, `sandbox_failed` when it did not come to that
   */
  compile: (
    name: string,
    source: IncomingObject,
    etag: string,
    settled: boolean,
  ) => Promise<CompiledVersion | 'under_way'>;
  /** Whether something of that name is being compiled. */
  busyWith: (name: string) => boolean;
  /** Ends what is under way. */
  close: () => void;
};

/** So many sources that cannot be compiled are remembered, each for this time: limits and machines change. */
const MAX_FAILED = 1_000;
const FAILED_MS = 10 * 60_000;
/** What this server compiles for: all that its kind of processor has. */
const CPU = 'baseline';
const SOURCE_FILE = 'source.wasm';

/** What it needs from around it. */
export type CompilerDeps = {
  /** Jobs have their folders below it; everything in it may go when the server does. */
  folder: string;
  programs: { bubblewrap: string; seccompFilter: string };
  /** The compiler's path, where the sandbox's user can reach it. */
  compiler: () => string;
  wasmtime: string;
  userIds: UserIds;
  limits: CompileLimits;
  jobsAtOnce: number;
  /** Signs what was compiled, for this server only. */
  key: SigningKey;
  disk: DiskStore;
  records: NameRecords;
  accept: AcceptTrailer;
  /** What was compiled while an earlier version served is ready. */
  onCompiled: (name: string) => void;
  log: Logger;
};

/** What is being made for a name, of the source of that etag. */
type NamedJob = { etag: string; version: Promise<CompiledVersion> };

/** A compiler of sources up to the length of an artifact. */
export function createSourceCompiler(deps: CompilerDeps): SourceCompiler {
  const { disk, records, accept, log } = deps;
  const stopped = new AbortController();
  const byName = new Map<string, NamedJob>();
  const byDigest = new Map<string, Promise<StoredArtifact>>();
  const failed = new LRUCache<string, InvocationError>({ max: MAX_FAILED, ttl: FAILED_MS });
  const waiting: (() => void)[] = [];
  let running = 0;

  const inTurn = async <T>(task: () => Promise<T>): Promise<T> => {
    if (running >= deps.jobsAtOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    try {
      return await task();
    } finally {
      running--;
      waiting.shift()?.();
    }
  };

  /** Brings the source to the disk; what was made of it before is taken from there. */
  const prepare = async (
    source: IncomingObject,
    folder: string,
  ): Promise<{ sha256: string; kept?: StoredArtifact }> => {
    try {
      await mkdir(folder, { recursive: true, mode: 0o711 });
      if (source.bytes > deps.limits.outputBytes) throw refused('too_long', `it has ${source.bytes} bytes`);
      const written = await writeIncoming(join(folder, SOURCE_FILE), source.body, () => undefined);
      const sha256 = written.of(written.bytes());
      const record = await records.read(recordKey(sha256));
      const kept = record === undefined ? undefined : await disk.open(record.blob, accept);
      if (kept !== undefined) return { sha256, kept };
      const known = failed.get(sha256);
      if (known !== undefined) throw known;
      return { sha256 };
    } catch (error) {
      throw asDiskError(error, 'a function cannot be compiled in the state folder');
    } finally {
      source.body.destroy();
    }
  };

  /** Once for a source, however many names it has. */
  const compileOnce = async (name: string, folder: string, sha256: string): Promise<CompiledVersion> => {
    try {
      let job = byDigest.get(sha256);
      if (job === undefined) {
        job = inTurn(() => compileFile(name, folder, sha256)).finally(() => byDigest.delete(sha256));
        byDigest.set(sha256, job);
      }
      return { content: await job, tier: 'compile' };
    } catch (error) {
      throw asDiskError(error, 'a function cannot be compiled in the state folder');
    } finally {
      await remove(folder);
    }
  };

  const recordKey = (sha256: string): string => `compiled ${sha256} ${fingerprint(deps.wasmtime)}`;

  const compileFile = async (name: string, folder: string, sha256: string): Promise<StoredArtifact> => {
    const uid = deps.userIds.take();
    const startedMs = performance.now();
    const code = join(folder, 'code');
    let result: CompileResult;
    try {
      await writeFile(code, '', { mode: 0o600, flag: 'wx' });
      if (uid !== undefined) await chown(code, uid, uid);
      const { programs, limits, wasmtime } = deps;
      const request = { folder, ...programs, compiler: deps.compiler(), wasmtime, uid, limits };
      result = await runCompileJob(request, stopped.signal);
      // Nobody else's any more: its sandbox has ended.
      if (uid !== undefined) await chown(code, process.getuid!(), process.getgid!());
    } finally {
      deps.userIds.giveBack(uid);
    }
    if (!result.ok) throw fail(name, sha256, result);
    const elf = await digestFile(code);
    const manifest = {
      name: name.slice(0, 512),
      kind: result.kind,
      source: { kind: result.kind, sha256 },
      elf,
      engine: { wasmtime: deps.wasmtime, ...result.engine, flags: COMPILE_FLAGS },
      world: result.world,
      builtAt: new Date().toISOString(),
      builder: 'playa serve',
    };
    await appendFile(code, signArtifact(manifest, deps.key));
    const stored = await disk.admit(await incomingFile(code), accept);
    const key = recordKey(sha256);
    await records.write(key, { object: key, etag: sha256, blob: stored.blob, policy: undefined });
    log.info({ function: name, source: sha256, compileMs: Math.round(performance.now() - startedMs) }, 'compiled');
    return stored;
  };

  const fail = (name: string, sha256: string, result: CompileResult & { ok: false }): InvocationError => {
    if (!result.refused) {
      log.error({ function: name, detail: result.message }, 'compiling failed');
      const detail = 'The sandbox that compiles could not be started.';
      return new InvocationError('sandbox_failed', detail, { cause: new Error(result.message), retryAfterS: 5 });
    }
    const refusal = refused(result.reason, result.message);
    failed.set(sha256, refusal);
    return refusal;
  };

  const forgetWhenDone = async (name: string, job: NamedJob, settled: boolean): Promise<void> => {
    await job.version.catch(() => undefined);
    if (byName.get(name) !== job) return;
    byName.delete(name);
    if (settled) deps.onCompiled(name);
  };

  return {
    compile: async (name, source, etag, settled) => {
      let job = byName.get(name);
      if (job?.etag === etag) source.body.destroy();
      else {
        const folder = join(deps.folder, randomBytes(8).toString('hex'));
        const { sha256, kept } = await prepare(source, folder).catch(async (error) => {
          await remove(folder);
          throw error;
        });
        if (kept !== undefined) {
          await remove(folder);
          return { content: kept, tier: 'disk' };
        }
        const mine = { etag, version: compileOnce(name, folder, sha256) };
        job = mine;
        byName.set(name, mine);
        void forgetWhenDone(name, mine, settled);
      }
      return settled ? 'under_way' : job.version;
    },
    busyWith: (name) => byName.has(name),
    close: () => stopped.abort(),
  };
}

function remove(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true }).catch(() => undefined);
}

function refused(reason: string, message: string): InvocationError {
  return new InvocationError('artifact_refused', `The WebAssembly in the bucket is refused: ${message}.`, { reason });
}

/** Names what a compiled source is kept under: by the engine that it was compiled for. */
function fingerprint(wasmtime: string): string {
  return [wasmtime, process.arch, CPU, ...COMPILE_FLAGS].join(' ');
}

async function incomingFile(path: string): Promise<IncomingObject> {
  const { size } = await stat(path);
  return {
    bytes: size,
    body: createReadStream(path, { highWaterMark: 1024 * 1024 }),
    readTail: async (bytes) => {
      const handle = await open(path);
      try {
        const { buffer } = await handle.read(Buffer.alloc(bytes), 0, bytes, size - bytes);
        return buffer;
      } finally {
        await handle.close();
      }
    },
  };
}
