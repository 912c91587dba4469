/** What is known of an object without reading it. */
export type ObjectInfo = {
  /** Changes whenever the content does. Opaque; what one store says means nothing to another. */
  etag: string;
  bytes: number;
  modifiedAtMs: number;
};

/** What a store keeps beside the content. Folders keep none of it: their objects are plain files. */
export type ObjectLabels = {
  contentType?: string;
  /** Lower-case names of letters, digits and `-`; values of printable ASCII. */
  metadata?: Readonly<Record<string, string>>;
};

/** An object as a list names it. */
export type ListedObject = ObjectInfo & { key: string };

/** A content that is read once. It must be consumed or destroyed: until then it holds a file or a connection. */
export type ObjectBody = AsyncIterable<Buffer> & { destroy: (error?: Error) => unknown };

/** An object being read; `bytes` is of the whole object, also where a range of it is read. */
export type ObjectContent = ObjectInfo & ObjectLabels & { body: ObjectBody };

/** What is written: bytes, or the file of that path, which must not change meanwhile. */
export type ObjectSource = Uint8Array | { path: string };

/** Both ends are included, as in HTTP; without `last` up to the end. */
export type ByteRange = { first: number; last?: number };

/** Ends an operation early; it then rejects with the signal's reason. */
export type Cancellable = { signal?: AbortSignal };

/**
 * `ifNoneMatch`: answer `not_modified` where the object still has this etag. `lentChunks`: a chunk of the body holds only until the second one after
 * it is asked for, as its memory is used again; for what is long and passes by.
 */
export type GetOptions = Cancellable & { ifNoneMatch?: string; range?: ByteRange; lentChunks?: boolean };

/** `ifMatch`: only over the content of this etag. `ifNoneMatch: '*'`: only where there is none. Of several at once exactly one wins. */
export type PutOptions = Cancellable & ObjectLabels & { ifMatch?: string; ifNoneMatch?: '*' };

/** `ifMatch`: only the content of this etag. */
export type DeleteOptions = Cancellable & { ifMatch?: string };

/** Something that can be told to stop. */
export type Closable = { close: () => void };

/**
 * A bucket. Keys are as `checkObjectKey` wants them.
 *
 * A missing object is `undefined`, every other failure an error: the two must never be confused, as a
 * bucket that is down must not make its functions disappear. All operations throw ObjectStoreError and nothing else,
 * but for the reason of a signal.
 */
export type ObjectStore = {
  /** Says what the bucket is, for messages: `folder bucket`. Holds no credentials. */
  readonly description: string;
  /** Looks an object up. */
  head: (key: string, options?: Cancellable) => Promise<(ObjectInfo & ObjectLabels) | undefined>;
  /**
   * Opens an object; what is said of it and its content belong together even if it is replaced meanwhile.
   * The body throws ObjectStoreError where it ends before, or after, the length that was announced.
   */
  get: (key: string, options?: GetOptions) => Promise<ObjectContent | 'not_modified' | undefined>;
  /** All objects whose key begins with `prefix`, in the order of their keys' bytes. Pages are read as they are needed. */
  list: (prefix: string, options?: Cancellable) => AsyncIterable<ListedObject>;
  /** Writes an object: readers see the old content or the new one, never a part. `precondition_failed` where a condition does not hold. */
  put: (key: string, source: ObjectSource, options?: PutOptions) => Promise<{ etag: string }>;
  /** Removes an object; one that is missing already is removed, unless `ifMatch` is given. */
  delete: (key: string, options?: DeleteOptions) => Promise<void>;
  /**
   * Calls `onChange` with a key that may have changed, or with `undefined` when any may have. It is a hint: it can come too often
   * and not at all. Absent where the store cannot watch.
   */
  watch?: (onChange: (key: string | undefined) => void) => Closable;
  /** Ends its connections. */
  close: () => Promise<void>;
};
