import type { Requirement, Verdict } from './requirement.ts';
import { formatNumber } from './table.ts';

const VERDICTS: Record<Verdict, string> = {
  aim: 'reaches the aim',
  floor: 'holds the floor',
  below: 'MISSES THE FLOOR',
};

/** Floor, aim and verdict as three cells of a table. */
export function formatRequirement({ floor, aim, better }: Requirement, verdict: Verdict): string[] {
  const sign = better === 'higher' ? '≥' : '≤';
  return [`${sign} ${formatNumber(floor)}`, `${sign} ${formatNumber(aim)}`, VERDICTS[verdict]];
}
