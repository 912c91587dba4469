/** What one invocation may use. */
export type Limits = {
  /** Wasm instructions, roughly; deterministic. */
  fuel: number;
  /** From the moment the request reaches a worker until its answer is complete. */
  wallMs: number;
  /** All linear memories of an instance together. */
  memoryBytes: number;
  responseHeaderBytes: number;
  /** stdout and stderr together. */
  logBytes: number;
};

/** What a request gets of its own: a sandbox, a process, or a Wasm instance. */
export type Isolation = 'sandbox' | 'process' | 'instance';
export const ISOLATIONS: readonly Isolation[] = ['sandbox', 'process', 'instance'];
