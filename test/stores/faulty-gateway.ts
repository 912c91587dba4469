import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import type { ObjectContent, ObjectStore } from '@playa/common/object-store';
import { ObjectStoreError } from '@playa/common/object-store-error';
import type { ObjectStoreDeps } from '@playa/common/object-stores/open-object-store';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';
import { openGatewayStore } from './gateway-store.ts';
import { GATEWAY_KEYS, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

/** A gateway behind a proxy that makes mistakes, new for each test; the object `a` has the content `content`. */
export type FaultyGateway = {
  proxy: FaultProxy;
  gatewayPort: number;
  store: ObjectStore;
  /** How long the stores wanted to wait between attempts. Nobody waits. */
  pauses: number[];
  /** Another store behind the same proxy. */
  open: (deps?: Partial<ObjectStoreDeps>, settings?: string, bucket?: string) => Promise<ObjectStore>;
};

/** Limits are short, and pauses are none: what must hold does not depend on how long they are. */
const QUICK: Partial<ObjectStoreDeps> = {
  random: () => 0.5,
  timeouts: { firstByteMs: 300, betweenBytesMs: 300, connectMs: 1_000 },
  breaker: { failures: 1_000 },
};

/** Tests of what goes wrong between a store and versitygw; skipped where that cannot be built. */
export function describeFaults(name: string, tests: (context: FaultyGateway) => void): void {
  const missing = gatewayMissing();
  describe.skipIf(missing !== undefined)(`${name}${missing === undefined ? '' : ` (${missing})`}`, () => {
    const context = { pauses: [] as number[] } as FaultyGateway;
    let gateway: Gateway;
    let stores: ObjectStore[] = [];
    context.open = async (deps, settings, bucket) => {
      const pause = async (ms: number): Promise<void> => void context.pauses.push(ms);
      const store = await openGatewayStore(context.proxy.url, { ...QUICK, pause, ...deps }, settings, bucket);
      stores.push(store);
      return store;
    };

    beforeAll(async () => {
      gateway = await startGateway(['bucket']);
    });
    afterAll(() => gateway?.remove());
    beforeEach(async () => {
      context.gatewayPort = gateway.port;
      context.proxy = await startFaultProxy(gateway.port);
      context.store = await context.open();
      await context.store.put('a', Buffer.from('content'));
      context.proxy.reset();
      context.pauses.length = 0;
    });
    afterEach(async () => {
      await Promise.all(stores.map((store) => store.close()));
      stores = [];
      await context.proxy.close();
    });
    tests(context);
  });
}

/** The error of an operation that should fail; it must hold no secret. */
export async function errorOf(operation: Promise<unknown>): Promise<ObjectStoreError> {
  const caught = await operation.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(caught).toBeInstanceOf(ObjectStoreError);
  expect(inspect(caught, { depth: 9, showHidden: true })).not.toContain(GATEWAY_KEYS.secretAccessKey);
  return caught as ObjectStoreError;
}

/** An object that must be there. */
export async function found(store: ObjectStore, key: string): Promise<ObjectContent> {
  const content = await store.get(key);
  if (content === undefined || content === 'not_modified') throw new Error(`${key} is ${content}`);
  return content;
}

/** The content of an object that must be there. */
export async function textOf(store: ObjectStore, key: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await found(store, key)).body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** The keys below a prefix. */
export async function keysOf(store: ObjectStore, prefix = ''): Promise<string[]> {
  const keys = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}
