import { credentialError } from './credential-error.ts';
import { createCredentials, type Credentials } from './credentials.ts';
import { processCredentials } from './process-credentials.ts';
import type { Profile } from './shared-profile.ts';
import { webIdentityCredentials } from './web-identity-credentials.ts';

/** Credentials of a profile; undefined where it holds none, but a region, for one. */
export async function profileCredentials(
  name: string,
  profile: Profile,
  region: string | undefined,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  const accessKeyId = profile.get('aws_access_key_id');
  const secretAccessKey = profile.get('aws_secret_access_key');
  if (accessKeyId && secretAccessKey) {
    return createCredentials({ accessKeyId, secretAccessKey, sessionToken: profile.get('aws_session_token') });
  }
  if (accessKeyId || secretAccessKey) {
    throw credentialError(`the profile ${name}`, 'it has one of aws_access_key_id and aws_secret_access_key only');
  }
  const tokenFile = profile.get('web_identity_token_file');
  const roleArn = profile.get('role_arn');
  if (tokenFile && roleArn) {
    const identity = { tokenFile, roleArn, sessionName: profile.get('role_session_name') };
    return webIdentityCredentials(identity, region, env, signal);
  }
  const command = profile.get('credential_process');
  if (command) return processCredentials(command, env, signal);
  if (roleArn || [...profile.keys()].some((setting) => setting.startsWith('sso_'))) {
    const mend = `credential_process = aws configure export-credentials --profile ${name} --format process`;
    throw credentialError(
      `the profile ${name}`,
      `SSO and assumed roles are left to the aws command: make another profile with ${mend}, and name that in AWS_PROFILE`,
    );
  }
  return undefined;
}
