/** The version of Wasmtime that runner and compiler are built from; an artifact of another one is not loaded. */
export const WASMTIME_VERSION = '48.0.8';
