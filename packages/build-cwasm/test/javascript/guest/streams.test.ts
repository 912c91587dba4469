// The stand-ins for what the engine lacks, against Node's own where Node has them.
import { describe, expect, test } from 'vitest';
import * as additions from '../../../src/javascript/guest/additions.ts';
import * as codecs from '../../../src/javascript/guest/codec-streams.ts';
import { cloneResponse, sendable } from '../../../src/javascript/guest/response-clone.ts';

const TEXT = 'aä€\u{1F600}z';

/** All ways to cut something in three. */
function* cuts<T extends string | Uint8Array>(whole: T): Generator<T[]> {
  for (let first = 0; first <= whole.length; first += 1) {
    for (let second = first; second <= whole.length; second += 1) {
      yield [whole.slice(0, first), whole.slice(first, second), whole.slice(second)] as T[];
    }
  }
}

async function collect<T>(stream: ReadableStream<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const chunk of stream) all.push(chunk);
  return all;
}

test('TextEncoderStream gives the bytes of the whole text, wherever it is cut', async () => {
  for (const chunks of cuts(TEXT)) {
    const parts = await collect(ReadableStream.from(chunks).pipeThrough(new codecs.TextEncoderStream()));
    expect(Buffer.concat(parts).toString()).toBe(TEXT);
  }
});

test('TextEncoderStream replaces half a character at the end', async () => {
  const parts = await collect(ReadableStream.from(['a\uD83D']).pipeThrough(new codecs.TextEncoderStream()));
  expect(Buffer.concat(parts).toString()).toBe('a\uFFFD');
});

test('TextDecoderStream gives the whole text, wherever the bytes are cut', async () => {
  for (const chunks of cuts(new TextEncoder().encode(TEXT))) {
    const parts = await collect(ReadableStream.from(chunks).pipeThrough(new codecs.TextDecoderStream()));
    expect(parts.join('')).toBe(TEXT);
  }
});

test('TextDecoderStream fails at bytes that are no text when it is told to', async () => {
  const stream = ReadableStream.from([Uint8Array.of(255)]).pipeThrough(
    new codecs.TextDecoderStream('utf-8', { fatal: true }),
  );
  await expect(collect(stream)).rejects.toThrow(TypeError);
});

describe('ReadableStream', () => {
  test('from() takes what is iterable, and ends its source when it is cancelled', async () => {
    expect(await collect(additions.from(['a', 'b']))).toEqual(['a', 'b']);
    let ended = false;
    async function* source(): AsyncGenerator<number> {
      try {
        for (let number = 0; ; number += 1) yield number;
      } finally {
        ended = true;
      }
    }
    const reader = additions.from(source()).getReader();
    expect((await reader.read()).value).toBe(0);
    await reader.cancel();
    expect(ended).toBe(true);
  });

  test('values() cancels the stream when it is left early, and unlocks it', async () => {
    for (const preventCancel of [false, true]) {
      const reasons: unknown[] = [];
      const stream = new ReadableStream({
        pull: (controller) => controller.enqueue(1),
        cancel: (reason) => void reasons.push(reason),
      });
      for await (const value of additions.values.call(stream, { preventCancel })) if (value === 1) break;
      expect([reasons.length, stream.locked]).toEqual([preventCancel ? 0 : 1, false]);
    }
  });

  test('values() passes on what the stream fails with', async () => {
    const stream = new ReadableStream({ start: (controller) => controller.error(new RangeError('broken')) });
    await expect(additions.values.call(stream).next()).rejects.toThrow('broken');
  });
});

test('URL.parse and URL.canParse agree with the constructor', () => {
  for (const [url, base] of [['http://a/b'], ['nope'], ['x', 'http://a/b/c'], ['x', 'nope'], ['']] as [
    string,
    string?,
  ][]) {
    expect(additions.parse(url, base)?.href).toBe(URL.parse(url, base)?.href);
    expect(additions.canParse(url, base)).toBe(URL.canParse(url, base));
  }
});

describe('a cloned response', () => {
  const clone = (response: Response): Response => cloneResponse.call(response);

  test('can be read, and the original be sent', async () => {
    const original = new Response('text', { status: 201, headers: { a: 'b' } });
    const copy = clone(original);
    original.headers.set('late', 'yes');
    const sent = sendable(original);
    expect([await copy.text(), await sent.text(), sent.status, sent.headers.get('late')]).toEqual([
      'text',
      'text',
      201,
      'yes',
    ]);
    expect(copy.headers.get('late')).toBeNull();
  });

  test('can be cloned again, and read in every way', async () => {
    const original = Response.json({ a: 1 });
    const [first, second] = [clone(original), clone(original)];
    expect(await first.json()).toEqual({ a: 1 });
    expect(await clone(second).text()).toBe('{"a":1}');
    expect(Buffer.from(await original.arrayBuffer()).toString()).toBe('{"a":1}');
    expect(original.bodyUsed).toBe(true);
  });

  test('without a body stays without one', () => {
    const original = new Response(null, { status: 204 });
    expect([clone(original).body, sendable(original)]).toEqual([null, original]);
  });

  test('is refused when the body is used or locked', async () => {
    const used = new Response('x');
    await used.text();
    expect(() => clone(used)).toThrow(TypeError);
    const locked = new Response('x');
    locked.body!.getReader();
    expect(() => clone(locked)).toThrow(TypeError);
  });
});
