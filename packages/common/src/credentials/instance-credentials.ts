import { parseCredentialDocument } from './credential-document.ts';
import { credentialError } from './credential-error.ts';
import type { Credentials } from './credentials.ts';
import { sendMetadataRequest, type MetadataRequest } from './metadata-request.ts';

const SOURCE = 'the instance metadata service';
/** It is on the same machine; elsewhere nothing answers, and nobody should wait for long. */
const TIMEOUT_MS = 1_000;
const TOKEN_SECONDS = 21_600;
const ROLES = '/latest/meta-data/iam/security-credentials/';

/** Credentials of the role of an EC2 instance, by version 2 of its metadata service, which asks for a token first. */
export async function instanceCredentials(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Credentials> {
  const base = (env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] || 'http://169.254.169.254').replace(/\/+$/, '');
  const ask = (path: string, request: Partial<MetadataRequest>): Promise<string> =>
    askService({ url: base + path, timeoutMs: TIMEOUT_MS, signal, ...request });

  const token = await ask('/latest/api/token', {
    method: 'PUT',
    headers: { 'x-aws-ec2-metadata-token-ttl-seconds': `${TOKEN_SECONDS}` },
  });
  const headers = { 'x-aws-ec2-metadata-token': token };
  const role = (await ask(ROLES, { headers })).trim().split('\n')[0]!;
  if (role === '') throw credentialError(SOURCE, 'the instance has no role');
  return parseCredentialDocument(await ask(ROLES + encodeURIComponent(role), { headers }), SOURCE);
}

async function askService(request: MetadataRequest): Promise<string> {
  const answer = await sendMetadataRequest(request).catch((error: Error) => {
    const elsewhere = 'elsewhere than in EC2, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws';
    throw credentialError(SOURCE, `it cannot be reached (${error.message}); ${elsewhere}`, {
      cause: error,
      temporary: true,
    });
  });
  if (answer.status === 200) return answer.text;
  const hint = answer.status === 404 ? '; the instance has no role' : '';
  throw credentialError(SOURCE, `it answered with status ${answer.status}${hint}`, { temporary: answer.status >= 500 });
}
