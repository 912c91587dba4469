import { ConfigError } from '../config/config-error.ts';
import { keyOf } from '../config/option-names.ts';
import type { Config } from '../config/options.ts';
import { ISOLATIONS } from './isolation.ts';
import { capName, LIMIT_NAMES, type LimitName, type Limits } from './limits.ts';
import type { Policy, PolicyRequest } from './policy.ts';
import type { SecretStore } from './secret-store.ts';

/**
 * Grants what a function asks for within the operator's caps; without a request, the server's defaults.
 * @throws {ConfigError} when it asks for more than a cap allows, or for a secret that is not there for it.
 */
export function grantPolicy(
  functionName: string,
  request: PolicyRequest | undefined,
  config: Pick<Config, LimitName | `cap${Capitalize<LimitName>}` | 'isolation' | 'capIsolation'>,
  secrets: SecretStore,
): Policy {
  const limits = Object.fromEntries(
    LIMIT_NAMES.map((name) => {
      const asked = request?.limits[name];
      const cap = config[capName(name)];
      if (asked !== undefined && asked > cap) {
        throw new ConfigError(`limits.${keyOf(name)} asks for ${asked}; the server allows at most ${cap}`);
      }
      return [name, asked ?? config[name]];
    }),
  ) as Limits;
  const isolation = request?.isolation ?? config.isolation;
  if (request?.isolation !== undefined && ISOLATIONS.indexOf(isolation) > ISOLATIONS.indexOf(config.capIsolation)) {
    throw new ConfigError(
      `isolation asks for ${isolation}; the weakest that the server allows is ${config.capIsolation}`,
    );
  }
  const granted = (request?.secrets ?? []).map((name) => [name, secrets.find(name, functionName)] as const);
  const missing = granted.find(([, value]) => value === undefined)?.[0];
  if (missing !== undefined) {
    // Whether there is one for others is nobody's business.
    throw new ConfigError(`secrets: the server has no secret ${missing} for this function`);
  }
  const env = new Map<string, string>(request?.env);
  for (const [name, value] of granted) env.set(name, value!);
  return { limits, isolation, env: [...env], netAllow: request?.netAllow };
}
