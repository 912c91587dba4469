import type { Requirement } from '../report/requirement.ts';

const higher = (floor: number, aim: number): Requirement => ({ floor, aim, better: 'higher' });
const lower = (floor: number, aim: number): Requirement => ({ floor, aim, better: 'lower' });

/** The numbers to reach while functions are in use. Absolute ones are for two cores. */
export const HOT_REQUIREMENTS = {
  'instance small requests/s ÷ peer': higher(1.5, 2.4),
  'instance small p50 ÷ peer': lower(1.3, 1),
  'instance javascript requests/s ÷ peer': higher(2, 3),
  'process small requests/s': higher(1_500, 4_000),
  'process javascript requests/s': higher(700, 1_500),
  'process small p50 ms': lower(1, 0.4),
  'process javascript p50 ms': lower(2, 1),
  'sandbox small requests/s': higher(200, 500),
  'sandbox small p50 ms': lower(1.2, 0.8),
  'sandbox javascript p50 ms': lower(3.5, 2),
} as const satisfies Record<string, Requirement>;

export type HotKey = keyof typeof HOT_REQUIREMENTS;
