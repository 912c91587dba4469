/** A number to reach, as the design has it: the floor must hold, the aim is what is worked towards. */
export type Requirement = { floor: number; aim: number; better: 'higher' | 'lower' };

/** How a number stands to its requirement. */
export type Verdict = 'aim' | 'floor' | 'below';

/** Whether a number reaches the aim, only the floor, or neither. */
export function judge(value: number, { floor, aim, better }: Requirement): Verdict {
  const reaches = (bound: number): boolean => (better === 'higher' ? value >= bound : value <= bound);
  return reaches(aim) ? 'aim' : reaches(floor) ? 'floor' : 'below';
}
