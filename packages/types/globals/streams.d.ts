interface QueuingStrategy<Chunk = any> {
  highWaterMark?: number;
  size?: (chunk: Chunk) => number;
}

declare var ByteLengthQueuingStrategy: {
  new (init: { highWaterMark: number }): QueuingStrategy<ArrayBufferView> & { readonly highWaterMark: number };
};

declare var CountQueuingStrategy: {
  new (init: { highWaterMark: number }): QueuingStrategy & { readonly highWaterMark: number };
};

interface ReadableStreamDefaultController<Chunk = any> {
  readonly desiredSize: number | null;
  close(): void;
  enqueue(chunk?: Chunk): void;
  error(reason?: unknown): void;
}

interface ReadableStreamBYOBRequest {
  readonly view: ArrayBufferView<ArrayBuffer> | null;
  respond(bytesWritten: number): void;
  respondWithNewView(view: ArrayBufferView<ArrayBuffer>): void;
}

interface ReadableByteStreamController {
  readonly byobRequest: ReadableStreamBYOBRequest | null;
  readonly desiredSize: number | null;
  close(): void;
  enqueue(chunk: ArrayBufferView<ArrayBuffer>): void;
  error(reason?: unknown): void;
}

interface UnderlyingSource<Chunk = any> {
  type?: undefined;
  start?(controller: ReadableStreamDefaultController<Chunk>): unknown;
  pull?(controller: ReadableStreamDefaultController<Chunk>): void | PromiseLike<void>;
  cancel?(reason?: unknown): void | PromiseLike<void>;
}

interface UnderlyingByteSource {
  type: 'bytes';
  autoAllocateChunkSize?: number;
  start?(controller: ReadableByteStreamController): unknown;
  pull?(controller: ReadableByteStreamController): void | PromiseLike<void>;
  cancel?(reason?: unknown): void | PromiseLike<void>;
}

type ReadableStreamReadResult<Chunk> =
  | { readonly done: false; readonly value: Chunk }
  | { readonly done: true; readonly value: Chunk | undefined };

interface ReadableStreamDefaultReader<Chunk = any> {
  readonly closed: Promise<void>;
  cancel(reason?: unknown): Promise<void>;
  read(): Promise<ReadableStreamReadResult<Chunk>>;
  releaseLock(): void;
}

declare var ReadableStreamDefaultReader: {
  prototype: ReadableStreamDefaultReader;
  new <Chunk>(stream: ReadableStream<Chunk>): ReadableStreamDefaultReader<Chunk>;
};

interface ReadableStreamBYOBReader {
  readonly closed: Promise<void>;
  cancel(reason?: unknown): Promise<void>;
  read<View extends ArrayBufferView<ArrayBuffer>>(view: View): Promise<ReadableStreamReadResult<View>>;
  releaseLock(): void;
}

declare var ReadableStreamBYOBReader: {
  prototype: ReadableStreamBYOBReader;
  new (stream: ReadableStream<Uint8Array>): ReadableStreamBYOBReader;
};

interface StreamPipeOptions {
  preventAbort?: boolean;
  preventCancel?: boolean;
  preventClose?: boolean;
  signal?: AbortSignal;
}

interface ReadableStream<Chunk = any> {
  readonly locked: boolean;
  cancel(reason?: unknown): Promise<void>;
  getReader(): ReadableStreamDefaultReader<Chunk>;
  getReader(options: { mode: 'byob' }): ReadableStreamBYOBReader;
  pipeThrough<Out>(
    transform: { readonly readable: ReadableStream<Out>; readonly writable: WritableStream<Chunk> },
    options?: StreamPipeOptions,
  ): ReadableStream<Out>;
  pipeTo(destination: WritableStream<Chunk>, options?: StreamPipeOptions): Promise<void>;
  tee(): [ReadableStream<Chunk>, ReadableStream<Chunk>];
  values(options?: { preventCancel?: boolean }): AsyncIterableIterator<Chunk>;
  [Symbol.asyncIterator](options?: { preventCancel?: boolean }): AsyncIterableIterator<Chunk>;
}

declare var ReadableStream: {
  prototype: ReadableStream;
  new (source: UnderlyingByteSource, strategy?: { highWaterMark?: number }): ReadableStream<Uint8Array<ArrayBuffer>>;
  new <Chunk = any>(source?: UnderlyingSource<Chunk>, strategy?: QueuingStrategy<Chunk>): ReadableStream<Chunk>;
  from<Chunk>(source: Iterable<Chunk> | AsyncIterable<Chunk>): ReadableStream<Chunk>;
};

interface WritableStreamDefaultController {
  error(reason?: unknown): void;
}

interface UnderlyingSink<Chunk = any> {
  type?: undefined;
  start?(controller: WritableStreamDefaultController): unknown;
  write?(chunk: Chunk, controller: WritableStreamDefaultController): void | PromiseLike<void>;
  close?(): void | PromiseLike<void>;
  abort?(reason?: unknown): void | PromiseLike<void>;
}

interface WritableStreamDefaultWriter<Chunk = any> {
  readonly closed: Promise<void>;
  readonly desiredSize: number | null;
  readonly ready: Promise<void>;
  abort(reason?: unknown): Promise<void>;
  close(): Promise<void>;
  releaseLock(): void;
  write(chunk: Chunk): Promise<void>;
}

interface WritableStream<Chunk = any> {
  readonly locked: boolean;
  abort(reason?: unknown): Promise<void>;
  close(): Promise<void>;
  getWriter(): WritableStreamDefaultWriter<Chunk>;
}

declare var WritableStream: {
  prototype: WritableStream;
  new <Chunk = any>(sink?: UnderlyingSink<Chunk>, strategy?: QueuingStrategy<Chunk>): WritableStream<Chunk>;
};

interface TransformStreamDefaultController<Out = any> {
  readonly desiredSize: number | null;
  enqueue(chunk?: Out): void;
  error(reason?: unknown): void;
  terminate(): void;
}

interface Transformer<In = any, Out = any> {
  readableType?: undefined;
  writableType?: undefined;
  start?(controller: TransformStreamDefaultController<Out>): unknown;
  transform?(chunk: In, controller: TransformStreamDefaultController<Out>): void | PromiseLike<void>;
  flush?(controller: TransformStreamDefaultController<Out>): void | PromiseLike<void>;
}

interface TransformStream<In = any, Out = any> {
  readonly readable: ReadableStream<Out>;
  readonly writable: WritableStream<In>;
}

declare var TransformStream: {
  prototype: TransformStream;
  new <In = any, Out = any>(
    transformer?: Transformer<In, Out>,
    writableStrategy?: QueuingStrategy<In>,
    readableStrategy?: QueuingStrategy<Out>,
  ): TransformStream<In, Out>;
};

type CompressionFormat = 'deflate' | 'deflate-raw' | 'gzip';

interface CompressionStream extends TransformStream<Uint8Array<ArrayBuffer> | ArrayBuffer, Uint8Array<ArrayBuffer>> {}

declare var CompressionStream: {
  prototype: CompressionStream;
  new (format: CompressionFormat): CompressionStream;
};

interface DecompressionStream extends TransformStream<Uint8Array<ArrayBuffer> | ArrayBuffer, Uint8Array<ArrayBuffer>> {}

declare var DecompressionStream: {
  prototype: DecompressionStream;
  new (format: CompressionFormat): DecompressionStream;
};
