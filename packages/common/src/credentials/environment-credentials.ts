import { credentialError } from './credential-error.ts';
import { createCredentials, type Credentials } from './credentials.ts';

/** Credentials in `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; undefined where there are none. */
export function environmentCredentials(env: NodeJS.ProcessEnv): Credentials | undefined {
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  if (!accessKeyId && !secretAccessKey) return undefined;
  if (!accessKeyId || !secretAccessKey) {
    throw credentialError('the environment', 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must both be set');
  }
  return createCredentials({ accessKeyId, secretAccessKey, sessionToken: env['AWS_SESSION_TOKEN'] || undefined });
}
