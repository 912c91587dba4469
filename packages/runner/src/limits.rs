//! Limits of one invocation: the counts of what its store has, and constants that hold for every tenant.

use crate::protocol::control::Load;
use wasmtime::ResourceLimiter;

/// Header fields that a guest builds, counted as Wasmtime does (with its own overhead).
pub const FIELD_BYTES: usize = 256 << 10;

/// The largest chunk of a response body that is taken out of a guest at once.
pub const BODY_CHUNK_BYTES: usize = 64 << 10;

/// Core instances of the pool for each invocation; components built from many languages' modules have about ten.
pub const POOL_INSTANCES: u32 = 100;

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

/// What a guest was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Memory,
    TableElements,
}

/// Counts the linear memory and the tables of one store, and refuses what is too much.
#[derive(Debug)]
pub struct Limiter {
    limit_bytes: u64,
    limit_elements: usize,
    instances: usize,
    memories: usize,
    tables: usize,
    used_bytes: u64,
    table_elements: usize,
    refusal: Option<Refusal>,
}

impl Limiter {
    /// A limiter for one store. Memory of a store never shrinks, so what is used is also the peak.
    pub fn new(load: &Load) -> Self {
        Self {
            limit_bytes: load.memory_bytes,
            limit_elements: load.table_elements,
            instances: load.instances,
            memories: load.memories,
            tables: load.tables,
            used_bytes: 0,
            table_elements: 0,
            refusal: None,
        }
    }

    /// The most linear memory that the store has had, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// What was refused last. A trap that follows is most likely the guest's answer to it.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
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
            self.refusal = Some(Refusal::Memory);
            return Ok(false);
        }
        self.used_bytes = used_bytes;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // The operating system refused, or the declared maximum did; a guest that dies of it died of memory.
        self.refusal = Some(Refusal::Memory);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(true);
        }
        let elements = self.table_elements.saturating_add(desired.saturating_sub(current));
        if elements > self.limit_elements {
            self.refusal = Some(Refusal::TableElements);
            return Ok(false);
        }
        self.table_elements = elements;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // In a pool the slot's size refuses before the count does.
        self.refusal = Some(Refusal::TableElements);
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}
