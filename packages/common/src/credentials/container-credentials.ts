import { readFile } from 'node:fs/promises';
import { BlockList, isIP } from 'node:net';
import { parseCredentialDocument } from './credential-document.ts';
import { credentialError } from './credential-error.ts';
import type { Credentials } from './credentials.ts';
import { sendMetadataRequest } from './metadata-request.ts';

const SOURCE = 'the container endpoint';
const TIMEOUT_MS = 2_000;

/** Whether the environment names an endpoint, as it does in ECS and for pods of EKS. */
export function hasContainerEndpoint(env: NodeJS.ProcessEnv): boolean {
  return Boolean(env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'] || env['AWS_CONTAINER_CREDENTIALS_FULL_URI']);
}

/** Credentials from the endpoint that a container is given. */
export async function containerCredentials(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Credentials> {
  const relative = env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const url = relative
    ? `http://169.254.170.2${relative}`
    : checkFullUri(env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? '');
  const authorization = await readToken(env);
  const answer = await sendMetadataRequest({
    url,
    ...(authorization !== undefined && { headers: { authorization } }),
    timeoutMs: TIMEOUT_MS,
    signal,
  }).catch((error: Error) => {
    throw credentialError(SOURCE, `it cannot be reached: ${error.message}`, { cause: error, temporary: true });
  });
  if (answer.status !== 200) {
    throw credentialError(SOURCE, `it answered with status ${answer.status}`, { temporary: answer.status >= 500 });
  }
  return parseCredentialDocument(answer.text, SOURCE);
}

/** The token would go to whoever the address names: without encryption only to this machine and its link. */
function checkFullUri(uri: string): string {
  const url = URL.parse(uri);
  if (url === null) throw credentialError(SOURCE, 'AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL');
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isNear(url.hostname))) return uri;
  const problem = 'AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or an address of this machine or its link';
  throw credentialError(SOURCE, problem);
}

function isNear(hostname: string): boolean {
  if (hostname === 'localhost') return true;
  const address = hostname.replaceAll(/^\[|\]$/g, '');
  const near = new BlockList();
  near.addSubnet('127.0.0.0', 8);
  near.addSubnet('169.254.0.0', 16);
  near.addAddress('::1', 'ipv6');
  near.addSubnet('fe80::', 10, 'ipv6');
  near.addAddress('fd00:ec2::23', 'ipv6');
  const family = isIP(address);
  return family !== 0 && near.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

async function readToken(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const file = env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  let token = env['AWS_CONTAINER_AUTHORIZATION_TOKEN'];
  if (file) {
    token = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw credentialError(SOURCE, `${file} cannot be read (${error.code})`, { cause: error });
    });
  }
  if (!token) return undefined;
  if (/[\r\n]/.test(token.trim())) throw credentialError(SOURCE, 'its authorization token has several lines');
  return token.trim();
}
