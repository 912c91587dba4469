/** What a request gets of its own: a sandbox, a process, or a Wasm instance. */
export type Isolation = 'sandbox' | 'process' | 'instance';

/** All isolations, the strongest first. */
export const ISOLATIONS: readonly Isolation[] = ['sandbox', 'process', 'instance'];
