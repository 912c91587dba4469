import { USAGE_KEYS, USAGE_SUMS, type Usage } from './usage.ts';

const COLUMNS = [...USAGE_KEYS, ...USAGE_SUMS, 'peakMemoryBytes'] as const;

/** Writes usage as CSV (RFC 4180), with a header line. */
export function usageCsv(usage: readonly Usage[]): string {
  const lines = usage.map((row) => COLUMNS.map((column) => cell(row[column])).join(','));
  return [COLUMNS.join(','), ...lines, ''].join('\r\n');
}

/** A text that a spreadsheet would take for a formula gets a quote before it: names come from whoever fills the bucket. */
function cell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
