import type { AddressInfo } from 'node:net';
import type { UsageLedger } from '../accounting/usage-ledger.ts';
import { ConfigError } from '../config/config-error.ts';
import { parseAddress } from '../config/option-value.ts';
import { createAdminServer } from './admin-server.ts';
import { openAdminToken } from './admin-token.ts';
import { addInvalidateRoute } from './invalidate-route.ts';
import { addMetricsRoute } from './metrics-route.ts';
import { addUsageRoutes } from './usage-routes.ts';

/** The listener for operators. */
export type Admin = {
  /** Resolves with where it listens. @throws {ConfigError} when the address cannot be had. */
  listen: () => Promise<{ host: string; port: number }>;
  close: () => Promise<void>;
};

/**
 * Makes the listener with all its routes.
 * @param address `HOST:PORT`
 * @throws {ConfigError} for a wrong address and for a token that cannot be had.
 */
export function createAdmin(deps: {
  address: string;
  tokenFile: string;
  usage: UsageLedger;
  invalidate: (name?: string) => void;
  metrics: () => string;
}): Admin {
  const address = parseAddress(deps.address);
  if (address === undefined) throw new ConfigError(`admin-listen: "${deps.address}" is not HOST:PORT`);
  const server = createAdminServer(openAdminToken(deps.tokenFile));
  addUsageRoutes(server, deps.usage.read);
  addInvalidateRoute(server, deps.invalidate);
  addMetricsRoute(server, deps.metrics);
  return {
    listen: async () => {
      try {
        await server.listen(address);
      } catch (error) {
        throw new ConfigError(`cannot listen on ${deps.address}: ${(error as Error).message}`, { cause: error });
      }
      const bound = server.server.address() as AddressInfo;
      return { host: bound.address, port: bound.port };
    },
    close: () => server.close(),
  };
}
