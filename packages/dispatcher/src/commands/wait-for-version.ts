import { setTimeout as pause } from 'node:timers/promises';
import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import { shortVersion } from '../artifacts/artifact.ts';

const POLL_MS = 200;
const REQUEST_TIMEOUT_MS = 30_000;

/** How a server names the version that answered, in `x-playa-version`. */
export function versionOf(manifest: ArtifactManifest): string {
  return shortVersion(manifest);
}

/**
 * Calls a function until the version answers, whatever it answers.
 * @returns why not, when the time is over; undefined when it does
 */
export async function waitForVersion(url: string, version: string, timeoutMs: number): Promise<string | undefined> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const failure = await ask(url, version);
    if (failure === undefined || performance.now() > deadlineMs) return failure;
    await pause(POLL_MS);
  }
}

async function ask(url: string, version: string): Promise<string | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS), redirect: 'manual' });
    const text = await answer.text();
    const answered = answer.headers.get('x-playa-version');
    if (answered === version) return undefined;
    if (answered !== null) return 'an earlier version answers';
    const outcome = answer.headers.get('x-playa-outcome');
    return outcome === null ? `status ${answer.status}, not from playa` : `${outcome}: ${detailOf(text)}`;
  } catch (error) {
    const { message, cause } = error as Error;
    return cause instanceof Error ? `${message}: ${cause.message}` : message;
  }
}

function detailOf(text: string): string {
  try {
    return String((JSON.parse(text) as { detail?: unknown }).detail);
  } catch {
    return text.slice(0, 200);
  }
}
