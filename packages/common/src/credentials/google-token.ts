import { credentialError } from './credential-error.ts';
import type { CredentialDeps } from './amazon-credentials.ts';
import { sendMetadataRequest } from './metadata-request.ts';
import { createRenewing } from './renewing.ts';
import { createAccessToken, type AccessToken, type TokenProvider } from './token.ts';

const SOURCE = "Google's metadata server";
const TIMEOUT_MS = 2_000;
const PATH = '/computeMetadata/v1/instance/service-accounts/default/token';

/** Tokens of the service account of an instance, a Cloud Run service or a pod of GKE. */
export function createGoogleTokens(deps: CredentialDeps): TokenProvider {
  return createRenewing((signal) => fetchToken(deps, signal), deps);
}

async function fetchToken({ env, timeMs }: CredentialDeps, signal: AbortSignal): Promise<AccessToken> {
  const host = env['GCE_METADATA_HOST'] || 'metadata.google.internal';
  const askedAtMs = timeMs();
  const answer = await sendMetadataRequest({
    url: `http://${host}${PATH}`,
    headers: { 'metadata-flavor': 'Google' },
    timeoutMs: TIMEOUT_MS,
    signal,
  }).catch((error: Error) => {
    const problem = `it cannot be reached (${error.message}); elsewhere than at Google, use an HMAC key`;
    throw credentialError(SOURCE, problem, { cause: error, temporary: true });
  });
  if (answer.status !== 200) {
    const hint = answer.status === 404 ? '; there is no service account' : '';
    throw credentialError(SOURCE, `it answered with status ${answer.status}${hint}`, {
      temporary: answer.status >= 500,
    });
  }
  let document: Record<string, unknown> = {};
  try {
    document = JSON.parse(answer.text) as Record<string, unknown>;
  } catch {
    // The error of JSON.parse quotes the text; what follows says enough.
  }
  const token = document['access_token'];
  const lifeSeconds = document['expires_in'];
  if (typeof token !== 'string' || typeof lifeSeconds !== 'number' || /[^\x21-\x7e]/.test(token)) {
    throw credentialError(SOURCE, 'its answer holds no token');
  }
  return createAccessToken(token, askedAtMs + lifeSeconds * 1000);
}
