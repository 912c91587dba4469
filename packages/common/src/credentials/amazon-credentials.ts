import { containerCredentials, hasContainerEndpoint } from './container-credentials.ts';
import { credentialError } from './credential-error.ts';
import type { CredentialProvider, Credentials } from './credentials.ts';
import { environmentCredentials } from './environment-credentials.ts';
import { instanceCredentials } from './instance-credentials.ts';
import { profileCredentials } from './profile-credentials.ts';
import { createRenewing } from './renewing.ts';
import { readSharedProfile } from './shared-profile.ts';
import { webIdentityCredentials } from './web-identity-credentials.ts';

/** What credentials depend on. */
export type CredentialDeps = { env: NodeJS.ProcessEnv; timeMs: () => number; random: () => number };

/**
 * Credentials from where AWS's own tools take them, in their order: environment, shared profile (with `credential_process`), web identity,
 * container endpoint, instance metadata. The first that is set up decides: where it fails, no other is asked.
 */
export function createAmazonCredentials(deps: CredentialDeps, region: string | undefined): CredentialProvider {
  return createRenewing((signal) => findCredentials(deps.env, region, signal), deps);
}

async function findCredentials(
  env: NodeJS.ProcessEnv,
  region: string | undefined,
  signal: AbortSignal,
): Promise<Credentials> {
  const fromEnvironment = environmentCredentials(env);
  if (fromEnvironment !== undefined) return fromEnvironment;

  const named = env['AWS_PROFILE'];
  const name = named || 'default';
  const profile = await readSharedProfile(name, env);
  if (profile === undefined && named) throw credentialError(`the profile ${name}`, 'no shared file has such a profile');
  const fromProfile = profile && (await profileCredentials(name, profile, region, env, signal));
  if (fromProfile !== undefined) return fromProfile;

  const tokenFile = env['AWS_WEB_IDENTITY_TOKEN_FILE'];
  const roleArn = env['AWS_ROLE_ARN'];
  if (tokenFile && roleArn) {
    const identity = { tokenFile, roleArn, sessionName: env['AWS_ROLE_SESSION_NAME'] };
    return webIdentityCredentials(identity, region, env, signal);
  }
  if (hasContainerEndpoint(env)) return containerCredentials(env, signal);
  if (env['AWS_EC2_METADATA_DISABLED']?.toLowerCase() !== 'true') return instanceCredentials(env, signal);
  throw credentialError(
    'anywhere',
    'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws/credentials',
  );
}
