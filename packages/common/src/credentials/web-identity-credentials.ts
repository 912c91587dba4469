import { readFile } from 'node:fs/promises';
import { childText, parseXml, type XmlElement } from '../object-stores/xml.ts';
import { encodeUri } from '../sigv4/uri-encoding.ts';
import { parseExpiry } from './credential-document.ts';
import { credentialError } from './credential-error.ts';
import { createCredentials, type Credentials } from './credentials.ts';
import { sendMetadataRequest } from './metadata-request.ts';

/** Who wants to become whom. */
export type WebIdentity = { tokenFile: string; roleArn: string; sessionName: string | undefined };

const SOURCE = 'the web identity token';
const TIMEOUT_MS = 10_000;

/** Exchanges a token that Kubernetes, for one, has put into a file for credentials of a role: one unsigned request to AWS's token service. */
export async function webIdentityCredentials(
  identity: WebIdentity,
  region: string | undefined,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Credentials> {
  const token = await readFile(identity.tokenFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw credentialError(SOURCE, `${identity.tokenFile} cannot be read (${error.code})`, { cause: error });
  });
  const form = {
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleArn: identity.roleArn,
    RoleSessionName: identity.sessionName || 'playa',
    WebIdentityToken: token.trim(),
  };
  const answer = await sendMetadataRequest({
    url: env['AWS_ENDPOINT_URL_STS'] || tokenServiceOf(region),
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Object.entries(form)
      .map(([name, value]) => `${name}=${encodeUri(value)}`)
      .join('&'),
    timeoutMs: TIMEOUT_MS,
    signal,
  }).catch((error: Error) => {
    throw credentialError(SOURCE, `the token service cannot be reached: ${error.message}`, {
      cause: error,
      temporary: true,
    });
  });
  return parseAnswer(answer.status, answer.text);
}

function tokenServiceOf(region: string | undefined): string {
  if (region === undefined || region === 'auto') return 'https://sts.amazonaws.com/';
  return `https://sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}/`;
}

function parseAnswer(status: number, text: string): Credentials {
  const document = parseQuietly(text);
  if (status !== 200) {
    const code = document && find(document, 'Code')?.text.slice(0, 100);
    const problem = `the token service refused it with status ${status}${code === undefined ? '' : ` (${code})`}`;
    throw credentialError(SOURCE, problem, { temporary: status >= 500 });
  }
  const found = document && find(document, 'Credentials');
  const accessKeyId = found && childText(found, 'AccessKeyId');
  const secretAccessKey = found && childText(found, 'SecretAccessKey');
  if (!found || !accessKeyId || !secretAccessKey) throw credentialError(SOURCE, 'the answer holds no credentials');
  return createCredentials({
    accessKeyId,
    secretAccessKey,
    sessionToken: childText(found, 'SessionToken'),
    expiresAtMs: parseExpiry(childText(found, 'Expiration'), SOURCE),
  });
}

function parseQuietly(text: string): XmlElement | undefined {
  try {
    return parseXml(text);
  } catch {
    return undefined;
  }
}

function find(element: XmlElement, name: string): XmlElement | undefined {
  if (element.name === name) return element;
  for (const child of element.children) {
    const found = find(child, name);
    if (found !== undefined) return found;
  }
  return undefined;
}
