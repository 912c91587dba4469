import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseCredentialDocument } from './credential-document.ts';
import { credentialError } from './credential-error.ts';
import type { Credentials } from './credentials.ts';

const TIMEOUT_MS = 20_000;
const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * Credentials that a command prints: `credential_process` of a profile, which also brings SSO and assumed roles, by
 * `aws configure export-credentials --format process`. The command line is the user's own and goes to the shell, as it does in AWS's tools.
 */
export async function processCredentials(
  command: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Credentials> {
  const source = 'credential_process';
  try {
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], {
      env,
      signal,
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    return parseCredentialDocument(stdout, source);
  } catch (error) {
    const { code, killed, name } = error as Error & { code?: unknown; killed?: boolean };
    if (name === 'ObjectStoreError') throw error;
    // No cause: an error of execFile carries the command line and what was printed.
    const how = killed ? `did not end within ${TIMEOUT_MS / 1000} s` : `failed with ${String(code)}`;
    throw credentialError(source, `the command ${how}; run it by hand to see why`, { temporary: killed === true });
  }
}
