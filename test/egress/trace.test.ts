import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { readEgressLedger } from '../harness/egress-ledger.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const INCOMING = `00-${TRACE_ID}-b7ad6b7169203331-01`;
const OWN = '00-11111111111111111111111111111111-2222222222222222-00';

let bucket: TestBucket;
let server: TestServer;

beforeAll(async () => {
  bucket = makeBucket();
  for (const isolation of ['process', 'instance']) {
    bucket.putPolicy(isolation, `isolation = "${isolation}"\n[net]\nallow = ["*.playa.internal:80"]\n`);
    bucket.put(isolation, await buildGuest('egress'));
  }
  bucket.put('probe', await buildGuest('probe'));
  server = await startServer(bucket.path, { 'egress-depth': 3, 'cap-isolation': 'instance' });
});

afterAll(async () => {
  await server.stop();
  bucket.remove();
});

type Called = { requestId: string; text: string };

/** Calls a function that sends these fields to `url`. */
function call(
  name: string,
  url: string,
  headers: Record<string, string | string[]>,
  fields = '',
  times = 1,
): Promise<Called> {
  const query = `url=${encodeURIComponent(url)}&fields=${encodeURIComponent(fields)}&times=${times}`;
  return server.invoke(`${name}/fetch?${query}`, { headers });
}

/** What the callee was sent of a name, all values in order. */
function received({ text }: Called, name: string): string[] {
  const body = JSON.parse(text.slice(text.indexOf('body: ') + 6)) as { headers: [string, string][] };
  return body.headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}

const HEADERS = 'http://probe.playa.internal/headers';

const lineOf = (callerReqId: string): Promise<Record<string, unknown>> =>
  server.log.waitFor('a call', (line) => line.msg === 'invocation' && line['callerReqId'] === callerReqId);

describe('the trace of a request', () => {
  test('goes on to the function that it calls, and both lines of the log name it', async () => {
    const called = await call('process', HEADERS, { traceparent: INCOMING, tracestate: ['a=1', 'b=2'] });
    expect(received(called, 'traceparent')).toEqual([INCOMING]);
    expect(received(called, 'tracestate')).toEqual(['a=1, b=2']);
    expect(await server.log.invocation(called.requestId)).toMatchObject({ traceId: TRACE_ID });
    expect(await lineOf(called.requestId)).toMatchObject({ traceId: TRACE_ID, rootReqId: called.requestId });
  });

  test('is the one that the function names, where it names one', async () => {
    const headers = { traceparent: INCOMING, tracestate: 'a=1' };
    const alone = await call('process', HEADERS, headers, `traceparent: ${OWN}`);
    expect(received(alone, 'traceparent')).toEqual([OWN]);
    expect(received(alone, 'tracestate')).toEqual([]);
    const both = await call('process', HEADERS, headers, `traceparent: ${OWN}\ntracestate: c=3`);
    expect(received(both, 'traceparent')).toEqual([OWN]);
    expect(received(both, 'tracestate')).toEqual(['c=3']);
    expect(await lineOf(both.requestId)).toMatchObject({ traceId: '1'.repeat(32), rootReqId: both.requestId });
  });

  test('takes the place of one that the function names and that is none', async () => {
    const fields = 'traceparent: 00-zz\ntracestate: stray=1';
    const called = await call('process', HEADERS, { traceparent: INCOMING }, fields);
    expect(received(called, 'traceparent')).toEqual([INCOMING]);
    expect(received(called, 'tracestate')).toEqual([]);
  });

  test.each([
    ['too short', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331'],
    ['longer than its version has it', `${INCOMING}-more`],
    ['of a version that cannot be', `ff-${TRACE_ID}-b7ad6b7169203331-01`],
    ['in upper case', INCOMING.toUpperCase()],
    ['without a trace', '00-00000000000000000000000000000000-b7ad6b7169203331-01'],
    ['without a span', `00-${TRACE_ID}-0000000000000000-01`],
    ['twice there', [INCOMING, OWN]],
  ])('is not passed on where it is %s', async (_what, traceparent) => {
    const called = await call('process', HEADERS, { traceparent, tracestate: 'a=1' });
    expect(received(called, 'traceparent')).toEqual([]);
    expect(received(called, 'tracestate')).toEqual([]);
    expect(await server.log.invocation(called.requestId)).not.toHaveProperty('traceId');
  });

  test('may be of a later version, which has more', async () => {
    const later = `01-${TRACE_ID}-b7ad6b7169203331-01-more`;
    expect(received(await call('process', HEADERS, { traceparent: later }), 'traceparent')).toEqual([later]);
  });
});

describe('who calls', () => {
  test('is in the log from the first request to the last of a chain', async () => {
    const inner = `http://instance.playa.internal/fetch?url=${encodeURIComponent(HEADERS)}`;
    const { requestId, text } = await call('process', inner, { traceparent: INCOMING });
    expect(text).toContain(INCOMING);
    const first = await lineOf(requestId);
    expect(first).toMatchObject({ function: 'instance', caller: 'process', depth: 1, rootReqId: requestId });
    const second = await lineOf(first['reqId'] as string);
    expect(second).toMatchObject({ function: 'probe', caller: 'instance', depth: 2, rootReqId: requestId });
    expect([first['traceId'], second['traceId']]).toEqual([TRACE_ID, TRACE_ID]);
  });

  test('is nothing that a function or a client can say of itself', async () => {
    const forged = {
      'x-playa-request-id': 'forged',
      'x-request-id': 'forged',
      'x-playa-caller': 'forged',
      'x-playa-depth': '0',
      forwarded: 'for=forged',
    };
    const fields = Object.entries(forged)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n');
    const { requestId } = await call('process', HEADERS, forged, fields);
    const line = await lineOf(requestId);
    expect(line).toMatchObject({ caller: 'process', callerReqId: requestId, rootReqId: requestId, depth: 1 });
    expect(JSON.stringify(line)).not.toContain('forged');
    const own = await server.log.invocation(requestId);
    expect(own).not.toHaveProperty('caller');
    expect(JSON.stringify(own)).not.toContain('forged');
  });

  test('is told of each invocation for itself, where a process serves many', async () => {
    for (let round = 0; round < 3; round++) {
      const traceparent = `00-${String(round + 1).repeat(32)}-b7ad6b7169203331-01`;
      const called = await call('instance', HEADERS, { traceparent });
      expect(received(called, 'traceparent')).toEqual([traceparent]);
      expect(await lineOf(called.requestId)).toMatchObject({ depth: 1, traceId: String(round + 1).repeat(32) });
    }
  });

  test('is known of each call by a connection of its own', async () => {
    const { requestId, text } = await call('instance', HEADERS, {}, '', 3);
    expect(text.match(/status: 200/g)).toHaveLength(3);
    await waitUntil('three connections', () =>
      readEgressLedger(server.stateFolder).filter((entry) => entry.requestId === requestId).length === 3
        ? true
        : undefined,
    );
  });

  test('has its depth counted although its process has made connections for invocations that are less deep', async () => {
    const nested = (levels: number): string => {
      let url = HEADERS;
      for (let level = 0; level < levels; level++) {
        url = `http://instance.playa.internal/fetch?url=${encodeURIComponent(url)}`;
      }
      return url;
    };
    for (let round = 0; round < 3; round++) expect((await call('instance', nested(2), {})).text).toContain('"method"');
    const deeper = await call('instance', nested(3), {});
    expect(deeper.text).toContain('HttpRequestDenied');
    expect(deeper.text).not.toContain('"method"');
  });
});
