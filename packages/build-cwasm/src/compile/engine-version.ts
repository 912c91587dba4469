/** The version of Wasmtime that runner and compiler are built from; an artifact of another one is not loaded. */
export const WASMTIME_VERSION = '48.0.8';

/** What the manifest records of the flags: fuel is metered and epochs interrupt, in every artifact. */
export const COMPILE_FLAGS = ['fuel', 'epoch-interruption'] as const;
