import { ConfigError } from '../../packages/dispatcher/src/config/config-error.ts';
import { parsePolicyFile } from '../../packages/dispatcher/src/policy/parse-policy.ts';
import type { FuzzTarget } from '../fuzz-target.ts';

/** A policy that somebody put beside a function. */
export const POLICY_FILE: FuzzTarget = {
  name: 'policy files',
  seeds: () =>
    [
      'isolation = "instance"\nsecrets = ["A"]\n[limits]\nwall-ms = "5s"\nmemory-bytes = 64_000_000\n[env]\nA = "b"\n[net]\nallow = ["public"]\n',
      'limits = { fuel = 1_000 }\nenv."A" = \'x\'\n[[net]]\n',
      'a = 1979-05-27T07:32:00Z\nb = [1, 2.5, inf, nan, true]\nc = """\n\\u00e9"""\n',
      '__proto__ = 1\n[constructor.prototype]\nx = 1\n',
    ].map((text) => Buffer.from(text)),
  read: (input) => void parsePolicyFile(input.toString('utf8')),
  isRefusal: (error) => error instanceof ConfigError,
};
