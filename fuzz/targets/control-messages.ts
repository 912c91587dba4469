import { ProtocolViolation } from '../../packages/dispatcher/src/runner/frame.ts';
import {
  parseHello,
  parseLoaded,
  parseRefused,
  parseWorker,
} from '../../packages/dispatcher/src/runner/control-messages.ts';
import type { FuzzTarget } from '../fuzz-target.ts';

/** What a runner that was taken over may say on its control socket. */
export const CONTROL_MESSAGES: FuzzTarget = {
  name: 'control messages',
  seeds: () =>
    [
      '{"protocol":1,"runner":"0.1.0","wasmtime":"48.0.8","lanes":8}',
      '{"world":"http-0.2","loadUs":412}',
      '{"reason":"version","detail":"text"}',
      '{"lane":2,"ended":{"worker":16,"status":0,"signal":0,"cpuUs":812,"maxRssKb":5120},"started":17,"resynced":true}',
    ].map((text) => Buffer.from(text)),
  read: (input) => {
    let refusal: unknown;
    for (const parse of [parseHello, parseLoaded, parseRefused, parseWorker]) {
      try {
        parse(input);
      } catch (error) {
        if (!(error instanceof ProtocolViolation)) throw error;
        refusal = error;
      }
    }
    if (refusal !== undefined) throw refusal;
  },
  isRefusal: (error) => error instanceof ProtocolViolation,
};
