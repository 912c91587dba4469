import { ArtifactError } from './artifact-error.ts';

/** The one format that this version writes and reads. */
export const ARTIFACT_FORMAT = 1;

/** The longest manifest in bytes. */
export const MAX_MANIFEST_BYTES = 65_536;

/** What the ELF holds: a component, or a wasip1 core module. */
export const ARTIFACT_KINDS = ['component', 'module'] as const;

/** What the function was built from. */
export const SOURCE_KINDS = ['typescript', 'javascript', 'component', 'module', 'wat'] as const;

/** How the function is called: WASI 0.2 or 0.3 http handler, `wasi:cli/run` as CGI, wasip1 command as CGI. */
export const WORLDS = ['http-0.2', 'http-0.3', 'command', 'module'] as const;

/** The CPU features the code may use; `baseline` is what every CPU of the target has. */
export const CPU_LEVELS = ['baseline', 'x86-64-v2', 'x86-64-v3'] as const;

export type ArtifactKind = (typeof ARTIFACT_KINDS)[number];
export type SourceKind = (typeof SOURCE_KINDS)[number];
export type World = (typeof WORLDS)[number];
export type CpuLevel = (typeof CPU_LEVELS)[number];

/** The manifest of an artifact, as docs/artifact.md defines it. Digests are 64 lower-case hex digits. */
export type ArtifactManifest = {
  readonly format: typeof ARTIFACT_FORMAT;
  readonly name: string;
  readonly kind: ArtifactKind;
  readonly source: { readonly kind: SourceKind; readonly sha256: string };
  readonly elf: { readonly sha256: string; readonly bytes: number };
  readonly engine: {
    readonly wasmtime: string;
    readonly target: string;
    readonly cpu: CpuLevel;
    readonly flags: readonly string[];
  };
  readonly world: World;
  /** RFC 3339 in UTC with milliseconds. */
  readonly builtAt: string;
  readonly builder: string;
  /** Id of the key that signed, 16 lower-case hex digits. */
  readonly key: string;
  /** What the function asks for; checked by the dispatcher. */
  readonly policy?: Readonly<Record<string, unknown>>;
};

/**
 * Parses and checks every member of a manifest. Members that this version does not know are passed over.
 *
 * @param bytes UTF-8 JSON, at most MAX_MANIFEST_BYTES
 * @throws ArtifactError `format`, naming the member
 */
export function parseManifest(bytes: Uint8Array): ArtifactManifest {
  const manifest = asObject(parseJson(bytes), 'the manifest');
  // Before the other members: those of another format may look different.
  if (manifest['format'] !== ARTIFACT_FORMAT) {
    throw malformed(
      `the manifest has format ${JSON.stringify(manifest['format']) ?? 'missing'}; this version reads format ${ARTIFACT_FORMAT}`,
    );
  }
  const source = asObject(manifest['source'], 'source');
  const elf = asObject(manifest['elf'], 'elf');
  const engine = asObject(manifest['engine'], 'engine');
  const kind = asOneOf(manifest['kind'], ARTIFACT_KINDS, 'kind');
  const world = asOneOf(manifest['world'], WORLDS, 'world');
  if ((kind === 'module') !== (world === 'module')) {
    throw malformed(`kind "${kind}" does not go with world "${world}"`);
  }
  const policy = manifest['policy'];
  return {
    format: ARTIFACT_FORMAT,
    name: asText(manifest['name'], NAME, 'name'),
    kind,
    source: {
      kind: asOneOf(source['kind'], SOURCE_KINDS, 'source.kind'),
      sha256: asText(source['sha256'], SHA256, 'source.sha256'),
    },
    elf: { sha256: asText(elf['sha256'], SHA256, 'elf.sha256'), bytes: asLength(elf['bytes'], 'elf.bytes') },
    engine: {
      wasmtime: asText(engine['wasmtime'], VERSION, 'engine.wasmtime'),
      target: asText(engine['target'], TARGET, 'engine.target'),
      cpu: asOneOf(engine['cpu'], CPU_LEVELS, 'engine.cpu'),
      flags: asFlags(engine['flags']),
    },
    world,
    builtAt: asTime(manifest['builtAt']),
    builder: asText(manifest['builder'], LINE, 'builder'),
    key: asText(manifest['key'], KEY_ID, 'key'),
    ...(policy === undefined ? {} : { policy: asObject(policy, 'policy') }),
  };
}

const SHA256 = /^[0-9a-f]{64}$/;
const KEY_ID = /^[0-9a-f]{16}$/;
const VERSION = /^\d{1,5}\.\d{1,5}\.\d{1,5}(?:[-+][0-9A-Za-z.+-]{1,64})?$/;
const TARGET = /^[a-z0-9_]{1,32}(?:-[a-z0-9_.]{1,32}){1,3}$/;
const FLAG = /^[a-z0-9][a-z0-9_=.-]{0,63}$/;
const LINE = /^[^\p{Cc}]{1,200}$/u;
const NAME = /^[^\p{Cc}]{1,512}$/u;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/;
const MAX_FLAGS = 64;

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw malformed('the manifest is not UTF-8 JSON', cause);
  }
}

function asObject(value: unknown, member: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed(`${member} is not an object`);
  }
  return value as Record<string, unknown>;
}

function asText(value: unknown, pattern: RegExp, member: string): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw malformed(`${member} is missing or malformed`);
  return value;
}

function asOneOf<const T extends string>(value: unknown, allowed: readonly T[], member: string): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw malformed(`${member} is not one of ${allowed.join(', ')}`);
  return found;
}

function asLength(value: unknown, member: string): number {
  if (!Number.isSafeInteger(value) || (value as number) <= 0)
    throw malformed(`${member} is not a positive whole number`);
  return value as number;
}

function asFlags(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length > MAX_FLAGS) throw malformed('engine.flags is not a list');
  return value.map((flag) => asText(flag, FLAG, 'engine.flags'));
}

function asTime(value: unknown): string {
  const time = asText(value, TIME, 'builtAt');
  if (Number.isNaN(Date.parse(time))) throw malformed('builtAt is not a time');
  return time;
}

function malformed(what: string, cause?: unknown): ArtifactError {
  return new ArtifactError('format', `malformed artifact: ${what}; build it again with build-cwasm`, { cause });
}
