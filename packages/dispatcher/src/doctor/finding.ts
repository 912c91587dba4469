/** What one attack, or one look at a sandbox, came to. */
export type Finding = {
  /** `guest` for what a function did, `runner` for what a runner that was taken over did, `sandbox` for what was seen from outside. */
  kind: 'guest' | 'runner' | 'sandbox';
  /** What was tried, in a few words. */
  name: string;
  held: boolean;
  /** What was seen. */
  detail: string;
};

/** The text of a report: one line for each finding, and a last one that counts. */
export function describeFindings(findings: readonly Finding[]): string {
  const lines = findings.map(
    ({ kind, name, held, detail }) =>
      `${held ? 'held' : 'NOT HELD'}  ${kind}: ${name}${detail === '' ? '' : ` (${detail})`}`,
  );
  const failed = findings.filter(({ held }) => !held).length;
  const last =
    failed === 0
      ? `All ${findings.length} attacks were held.`
      : `${failed} of ${findings.length} attacks were NOT held: do not run strangers' code on this host.`;
  return `${[...lines, '', last].join('\n')}\n`;
}
