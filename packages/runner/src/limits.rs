//! Limits of one invocation: constants that hold for every tenant, and the count of its linear memory.

use wasmtime::ResourceLimiter;

/// Core instances of one store. Components built from many languages' modules have about ten.
pub const MAX_INSTANCES: u32 = 100;

/// Tables of one store.
pub const MAX_TABLES: usize = 100;

/// Linear memories of one store; all of them together are bounded by the memory limit.
pub const MAX_MEMORIES: usize = 100;

/// Elements of all tables of a store, 8 bytes each: 8 MB. Large programs have some ten thousand functions.
pub const MAX_TABLE_ELEMENTS: usize = 1_000_000;

/// Bytes that one call may make the host copy out of the guest. Larger bodies are streamed.
pub const HOSTCALL_BYTES: usize = 8 << 20;

/// Handles that a guest may have open at once, each a small allocation of the host.
pub const MAX_RESOURCES: usize = 10_000;

/// Random bytes in one call; a guest that wants more calls again.
pub const MAX_RANDOM_BYTES: u64 = 1 << 20;

/// Header fields that a guest builds, counted as Wasmtime does (with its own overhead).
pub const FIELD_BYTES: usize = 256 << 10;

/// The largest chunk of a response body that is taken out of a guest at once.
pub const BODY_CHUNK_BYTES: usize = 64 << 10;

/// Memory slots of the pool for each invocation. A component has one, rarely two or three.
pub const POOL_MEMORIES: u32 = 4;

/// Table slots of the pool for each invocation.
pub const POOL_TABLES: u32 = 20;

/// Fibers for each invocation: one for the call; asynchronous guests have more.
pub const POOL_STACKS: u32 = 8;

/// Wasmtime's own data of one instance; large programs have much of it.
pub const POOL_INSTANCE_BYTES: usize = 4 << 20;

/// The beginning of a slot's memory that is overwritten rather than given back and faulted in again. It is overwritten whether or not
/// it was touched: with a megabyte, which is all stack in a Rust guest, that was 40 % of a worker's time.
pub const POOL_KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// Counts the linear memory and the tables of one store, and refuses what is too much.
#[derive(Debug)]
pub struct Limiter {
    limit_bytes: u64,
    used_bytes: u64,
    table_elements: usize,
    refused: bool,
}

impl Limiter {
    /// A limiter for one store. Memory of a store never shrinks, so what is used is also the peak.
    pub fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, used_bytes: 0, table_elements: 0, refused: false }
    }

    /// The most linear memory that the store has had, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Whether memory was refused. A trap that follows is most likely the guest's answer to it.
    pub fn has_refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // Fails by the memory's own declaration; not a matter of the limit.
            return Ok(true);
        }
        let used_bytes = self.used_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if used_bytes > self.limit_bytes {
            self.refused = true;
            return Ok(false);
        }
        self.used_bytes = used_bytes;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // The operating system refused, or the declared maximum did; a guest that dies of it died of memory.
        self.refused = true;
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(true);
        }
        let elements = self.table_elements.saturating_add(desired.saturating_sub(current));
        if elements > MAX_TABLE_ELEMENTS {
            self.refused = true;
            return Ok(false);
        }
        self.table_elements = elements;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // In a pool the slot's size refuses before the count does.
        self.refused = true;
        Ok(())
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}
