import { ProtocolViolation } from './frame.ts';

/** Looks for a nonce in what is read. */
export type NonceFilter = { push: (chunk: Buffer) => void };

/** More than a worker can have left behind in the socket and half a frame. */
const MAX_BYTES_BEFORE_NONCE = 2 * 1024 * 1024;

/**
 * Collects what is read until `nonce` has come, then calls `onFound` once with what came before it.
 * @throws {ProtocolViolation} from `push` when more comes than a worker can have left behind, or anything after the nonce: the supervisor
 * wrote it, and no worker runs until the other side is ready.
 */
export function createNonceFilter(nonce: Buffer, onFound: (before: Buffer) => void): NonceFilter {
  let collected = Buffer.alloc(0);
  return {
    push: (chunk) => {
      collected = Buffer.concat([collected, chunk]);
      const at = collected.indexOf(nonce);
      if (at < 0) {
        if (collected.length > MAX_BYTES_BEFORE_NONCE) throw new ProtocolViolation('no nonce found on a lane');
        return;
      }
      if (at + nonce.length !== collected.length) throw new ProtocolViolation('bytes after the nonce on a lane');
      onFound(collected.subarray(0, at));
    },
  };
}
