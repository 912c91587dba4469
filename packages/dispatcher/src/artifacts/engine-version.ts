/** The engine that runners are built on; packages/runner/Cargo.toml pins the same version. */
export const WASMTIME_VERSION = '48.0.8';
