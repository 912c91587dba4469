//! The Wasmtime engine. Its settings must match those the artifacts were compiled with.

use crate::limits;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Which way instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Mapped when needed: for workers that serve one request.
    OnDemand,
    /// Slots that are used again: for workers that serve many, this many at once.
    Pooling { concurrency: u32, table_elements: usize },
}

/// Builds an engine.
///
/// Only fuel and epoch interruption differ from Wasmtime's defaults, as in
/// `wasmtime compile -W fuel=1,epoch-interruption=y --target …`; an artifact is refused when one side changes a setting alone.
///
/// # Errors
/// The settings contradict each other, or the address space cannot be reserved.
pub fn build_engine(allocation: Allocation) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.consume_fuel(true);
    config.epoch_interruption(true);
    if let Allocation::Pooling { concurrency, table_elements } = allocation {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(concurrency, table_elements)));
    }
    Engine::new(&config)
}

fn pool(concurrency: u32, table_elements: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    let slots = |each: u32| concurrency.saturating_mul(each);
    pool.total_component_instances(concurrency)
        .total_core_instances(slots(limits::POOL_INSTANCES))
        .total_memories(slots(limits::POOL_MEMORIES))
        .total_tables(slots(limits::POOL_TABLES))
        .total_stacks(slots(limits::POOL_STACKS))
        .total_gc_heaps(concurrency)
        .max_component_instance_size(limits::POOL_INSTANCE_BYTES)
        .max_core_instance_size(limits::POOL_INSTANCE_BYTES)
        .max_core_instances_per_component(limits::POOL_INSTANCES)
        .max_memories_per_component(limits::POOL_MEMORIES)
        .max_memories_per_module(limits::POOL_MEMORIES)
        .max_tables_per_component(limits::POOL_TABLES)
        .max_tables_per_module(limits::POOL_TABLES)
        .table_elements(table_elements)
        .linear_memory_keep_resident(limits::POOL_KEEP_RESIDENT_BYTES)
        .table_keep_resident(limits::POOL_KEEP_RESIDENT_BYTES)
        .max_unused_warm_slots(slots(limits::POOL_MEMORIES));
    pool
}
