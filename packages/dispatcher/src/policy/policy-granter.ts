import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import { ConfigError } from '../config/config-error.ts';
import type { Config } from '../config/options.ts';
import { InvocationError } from '../outcome/invocation-error.ts';
import { grantPolicy } from './grant-policy.ts';
import { MAX_POLICY_BYTES, parsePolicy, parsePolicyFile } from './parse-policy.ts';
import type { Policy, PolicyRequest } from './policy.ts';
import type { SecretStore } from './secret-store.ts';

/** Decides what a function may use: its policy file, else the policy in its trailer, else the server's defaults, within the operator's caps. */
export type PolicyGranter = (name: string, manifest: ArtifactManifest, policyFile: string | undefined) => Policy;

/** @returns a granter whose refusals are {@link InvocationError}s `artifact_refused` with the reason `policy` */
export function createPolicyGranter(config: Config, secrets: SecretStore): PolicyGranter {
  return (name, manifest, policyFile) => {
    try {
      return grantPolicy(name, readRequest(manifest, policyFile), config, secrets);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const where = policyFile === undefined ? "the policy in the artifact's trailer" : 'the policy file';
      throw new InvocationError('artifact_refused', `${where} is refused: ${error.message}`, {
        reason: 'policy',
        cause: error,
      });
    }
  };
}

function readRequest(manifest: ArtifactManifest, policyFile: string | undefined): PolicyRequest | undefined {
  if (policyFile === undefined) return manifest.policy === undefined ? undefined : parsePolicy(manifest.policy);
  if (Buffer.byteLength(policyFile) > MAX_POLICY_BYTES) {
    throw new ConfigError(`it is longer than ${MAX_POLICY_BYTES} bytes`);
  }
  return parsePolicyFile(policyFile);
}
