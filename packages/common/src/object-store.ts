/** What is known of an object without reading it. `etag` changes whenever the content does. */
export type ObjectInfo = { etag: string; bytes: number; modifiedAtMs: number };

/** An object being read: `body` must be consumed or destroyed. */
export type ObjectContent = ObjectInfo & { body: AsyncIterable<Buffer> };

/** Something that can be told to stop. */
export type Closable = { close: () => void };

/**
 * A bucket. Keys are `/`-separated relative paths without empty or dot-led segments; the caller has checked them.
 *
 * A missing object is `undefined`, every other failure an error: the two must never be confused, as a
 * bucket that is down must not make its functions disappear.
 */
export type ObjectStore = {
  /** Says what the bucket is, for messages: `folder bucket`. Holds no credentials. */
  readonly description: string;
  /** Looks an object up. */
  head: (key: string) => Promise<ObjectInfo | undefined>;
  /** Opens an object; `info` and content belong together even if the object is replaced meanwhile. */
  get: (key: string) => Promise<ObjectContent | undefined>;
  /**
   * Calls `onChange` with a key that may have changed, or with `undefined` when any may have. It is a hint: it can come too often, and
   * stores that cannot watch never call it.
   */
  watch: (onChange: (key: string | undefined) => void) => Closable;
};
