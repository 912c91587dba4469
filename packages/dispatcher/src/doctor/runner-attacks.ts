import type { DoctorAnswer } from './http-answer.ts';

/** What the stand-in for a runner that was taken over can try, by the names that it knows them under. */
export const RUNNER_ATTACKS = [] as readonly string[];

/** What its answer says of an attack. An answer that says nothing counts as not held: nobody knows then. */
export function readRunnerAnswer(attack: string, answer: DoctorAnswer): { held: boolean; detail: string } {
  try {
    const said = JSON.parse(answer.text) as { attack?: unknown; held?: unknown; detail?: unknown };
    if (said.attack === attack && typeof said.held === 'boolean') {
      return { held: said.held, detail: String(said.detail ?? '').slice(0, 200) };
    }
  } catch {
    // Told below.
  }
  return { held: false, detail: `no answer: ${answer.status} ${answer.outcome}` };
}
