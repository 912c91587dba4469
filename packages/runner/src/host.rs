//! What a guest finds around it: the data of its store, and the WASI functions it may import.

use crate::cpu_budget::{CpuBudget, CpuExceeded};
use crate::egress::guest::GuestEgress;
use crate::egress::sockets::{self, BrokeredSockets, SocketsView};
use crate::guest_log::{GuestLog, Source};
use crate::limits::{self, Limiter};
use crate::outgoing::Hooks;
use crate::protocol::control::Load;
use crate::request_body::Stdin;
use crate::stdout_pipe::StdoutPipe;
use std::time::Instant;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The data of one store, which lives for one invocation.
pub struct Guest {
    wasi: WasiCtx,
    /// Only for core modules.
    pub preview1: Option<WasiP1Ctx>,
    table: ResourceTable,
    http: WasiHttpCtx,
    hooks: Hooks,
    pub egress: GuestEgress,
    pub limiter: Limiter,
    pub cpu: CpuBudget,
    /// When the guest must have ended.
    pub deadline: Instant,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl SocketsView for Guest {
    fn brokered_sockets(&mut self) -> BrokeredSockets<'_> {
        BrokeredSockets { table: &mut self.table, egress: &self.egress }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Standard input and output of a command; functions that speak `wasi:http` have none.
pub struct CommandStreams {
    pub stdin: Stdin,
    pub stdout: StdoutPipe,
    /// Variables beside those of LOAD.
    pub variables: Vec<(String, String)>,
}

fn wasi_builder(load: &Load, log: &GuestLog, command: Option<CommandStreams>) -> WasiCtxBuilder {
    let mut builder = WasiCtxBuilder::new();
    // Programs expect to find their own name.
    builder.arg("function");
    builder.envs(&load.env);
    builder.stderr(log.stream(Source::Stderr));
    builder.max_random_size(load.random_bytes);
    match command {
        None => {
            builder.stdout(log.stream(Source::Stdout));
        }
        Some(command) => {
            builder.envs(&command.variables);
            builder.stdin(command.stdin);
            builder.stdout(command.stdout);
        }
    }
    builder
}

impl Guest {
    /// Data for a guest that has no request yet.
    fn new(load: &Load, log: &GuestLog, egress: GuestEgress, cpu: CpuBudget, deadline: Instant) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(load.resources);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits::FIELD_BYTES);
        Self {
            wasi: wasi_builder(load, log, None).build(),
            preview1: None,
            table,
            http,
            hooks: Hooks::new(egress.clone()),
            egress,
            limiter: Limiter::new(load),
            cpu,
            deadline,
        }
    }

    /// Gives a component that is a command its request.
    pub fn set_command(&mut self, load: &Load, log: &GuestLog, command: CommandStreams) {
        self.wasi = wasi_builder(load, log, Some(command)).build();
    }

    /// Gives a core module its request, or `None` when there is none yet.
    pub fn set_preview1(&mut self, load: &Load, log: &GuestLog, command: Option<CommandStreams>) {
        self.preview1 = Some(wasi_builder(load, log, command).build_p1());
    }
}

/// Makes the store of one invocation.
///
/// # Errors
/// The engine lacks fuel, or memory is short.
pub fn new_store(
    engine: &Engine,
    load: &Load,
    log: &GuestLog,
    egress: GuestEgress,
    cpu: CpuBudget,
    deadline: Instant,
) -> wasmtime::Result<Store<Guest>> {
    let mut store = Store::try_new(engine, Guest::new(load, log, egress, cpu, deadline))?;
    store.set_fuel(load.fuel)?;
    store.limiter(|guest| &mut guest.limiter);
    store.set_hostcall_fuel(load.hostcall_bytes);
    store.set_max_component_handles(load.resources);
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(load.resources);
    }
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| {
        let guest = context.data();
        if guest.cpu.is_used_up_now() {
            return Err(CpuExceeded.into());
        }
        Ok(if Instant::now() < guest.deadline { UpdateDeadline::Yield(1) } else { UpdateDeadline::Interrupt })
    });
    Ok(store)
}

/// All of `wasi:cli`, `wasi:http` and what they need, in version 0.2.
///
/// # Errors
/// A name is defined twice.
pub fn build_linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    sockets::add_0_2_to_linker(&mut linker)?;
    Ok(linker)
}

/// The same in version 0.3 beside it. Most components need it not, and every sandbox would have to make it.
///
/// # Errors
/// A name is defined twice.
pub fn with_0_3(linker: &Linker<Guest>) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = linker.clone();
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    sockets::add_0_3_to_linker(&mut linker)?;
    Ok(linker)
}

/// WASI preview 1, for core modules.
///
/// # Errors
/// A name is defined twice.
pub fn build_module_linker(engine: &Engine) -> wasmtime::Result<wasmtime::Linker<Guest>> {
    let mut linker = wasmtime::Linker::new(engine);
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, |guest: &mut Guest| {
        guest.preview1.as_mut().expect("a module's store has its preview 1 context from the start")
    })?;
    Ok(linker)
}
