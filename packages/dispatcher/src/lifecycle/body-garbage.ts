/** How much of request bodies may have passed before what they were read into is collected. */
const COLLECT_AFTER_BYTES = 16 * 1024 * 1024;

/** A collection of V8's young generation, which takes about a millisecond; with `node --expose-gc` it is there as `globalThis.gc`. */
export type CollectYoung = (options: { type: 'minor' }) => void;

/**
 * Is told of all bytes of request bodies, and has their buffers collected now and then. Node's HTTP parser makes a buffer for each part of a body, and V8 by itself
 * lets 64 MiB of such buffers come together, whatever its flags are, before it collects objects that are as small as their heads.
 */
export function createBodyGarbage(collect: CollectYoung): (bytes: number) => void {
  let bytesSince = 0;
  return (bytes) => {
    bytesSince += bytes;
    if (bytesSince < COLLECT_AFTER_BYTES) return;
    bytesSince = 0;
    collect({ type: 'minor' });
  };
}
