import { createCredentials, type CredentialProvider } from '@playa/common/credentials/credentials';
import { createRenewing } from '@playa/common/credentials/renewing';
import type { ObjectStore } from '@playa/common/object-store';
import {
  defaultObjectStoreDeps,
  openObjectStore,
  type ObjectStoreDeps,
} from '@playa/common/object-stores/open-object-store';
import { GATEWAY_KEYS, GATEWAY_REGION } from './versitygw.ts';

/** Credentials that are just there. */
export function fixedCredentials(values: Parameters<typeof createCredentials>[0]): CredentialProvider {
  return createRenewing(async () => createCredentials(values), { timeMs: Date.now, random: Math.random });
}

/** Opens a bucket behind `endpoint` with the gateway's own keys; `deps` replaces what a test wants to be otherwise. */
export function openGatewayStore(
  endpoint: string,
  deps: Partial<ObjectStoreDeps> = {},
  settings = `&region=${GATEWAY_REGION}`,
  bucket = 'bucket',
): Promise<ObjectStore> {
  return openObjectStore(`s3://${bucket}?endpoint=${endpoint}${settings}`, {
    ...defaultObjectStoreDeps(),
    env: {},
    credentials: fixedCredentials(GATEWAY_KEYS),
    ...deps,
  });
}
