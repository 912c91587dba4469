import type { DoctorAnswer } from './http-answer.ts';

/** The names of the attacks that the stand-in for a runner that was taken over knows; none where it does not say. */
export function readAttackNames(answer: DoctorAnswer): string[] {
  try {
    const said = JSON.parse(answer.text) as { attacks?: unknown };
    return Array.isArray(said.attacks) ? said.attacks.filter((name) => typeof name === 'string') : [];
  } catch {
    // Whoever asked says so: without a name nothing was tried.
    return [];
  }
}

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
