// Small standard methods that the engine lacks.

/** `bytes()` of Request and Response. */
export async function bytes(this: Request | Response): Promise<Uint8Array> {
  return new Uint8Array(await this.arrayBuffer());
}

/** `URL.canParse`. */
export function canParse(url: string | URL, base?: string | URL): boolean {
  return parse(url, base) !== null;
}

/** `URL.parse`: null where the constructor throws. */
export function parse(url: string | URL, base?: string | URL): URL | null {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
}

/** `ReadableStream.prototype.values`, which is its async iterator too: reads to the end, and cancels when it is left early. */
export async function* values<T>(
  this: ReadableStream<T>,
  { preventCancel = false }: { preventCancel?: boolean } = {},
): AsyncGenerator<T, void, undefined> {
  const reader = this.getReader();
  let finished = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        finished = true;
        return;
      }
      yield value;
    }
  } catch (error) {
    finished = true;
    throw error;
  } finally {
    if (!finished && !preventCancel) await reader.cancel();
    reader.releaseLock();
  }
}

/** `ReadableStream.from`: a stream of what an iterable or async iterable gives. */
export function from<T>(source: Iterable<T> | AsyncIterable<T>): ReadableStream<T> {
  const iterator =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : (source as Iterable<T>)[Symbol.iterator]();
  return new ReadableStream<T>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(await value);
    },
    async cancel(reason) {
      await iterator.return?.(reason);
    },
  });
}
