/** What a value is and how it is checked. Sizes are whole bytes; `1k`, `1m`, `1g` stand for powers of 1024. */
export type OptionKind =
  | { type: 'text' }
  | { type: 'path' }
  | { type: 'address' }
  | { type: 'count'; min: number; max: number }
  | { type: 'bytes'; min: number; max: number }
  | { type: 'milliseconds'; min: number; max: number }
  | { type: 'switch' }
  | { type: 'choice'; choices: readonly string[] };

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
export const DAY_MS = 24 * 60 * 60 * 1000;

/** A whole number. */
export const count = (min: number, max: number): OptionKind => ({ type: 'count', min, max });

/** A size. */
export const bytes = (min: number, max: number): OptionKind => ({ type: 'bytes', min, max });

/** A time. */
export const milliseconds = (min: number, max: number): OptionKind => ({ type: 'milliseconds', min, max });
