//! Loading a precompiled file, and finding out which export to call.
#![allow(unsafe_code, reason = "Wasmtime cannot check that a precompiled file holds what its compiler wrote")]

use crate::host::{Guest, build_module_linker, with_0_3};
use crate::program::Program;
use crate::protocol::control::{Kind, Refused, RefusedReason};
use std::path::Path;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Linker, Type};
use wasmtime::{Engine, Module};
use wasmtime_wasi_http::{p2, p3};

fn refused(reason: RefusedReason, detail: impl Into<String>) -> Refused {
    Refused { reason, detail: detail.into() }
}

/// Sorts the messages of Wasmtime's compatibility checks; they have no types.
fn refuse_load(error: &wasmtime::Error, path: &Path) -> Refused {
    // Without the context that only names the file, which is the same in every sandbox.
    let path = path.to_string_lossy();
    let causes: Vec<String> = error.chain().map(ToString::to_string).filter(|cause| !cause.contains(&*path)).collect();
    let detail = causes.join(": ");
    let reason = if detail.contains("incompatible version") {
        RefusedReason::Version
    } else if detail.contains("incompatible with native host")
        || detail.contains("not available on the host")
        || detail.contains("for architecture")
        || detail.contains("for operating system")
    {
        RefusedReason::Cpu
    } else if detail.contains("pooling allocator requirements") {
        RefusedReason::Limits
    } else if detail.contains("was compiled with")
        || detail.contains("costs are incompatible")
        || detail.contains("for the host")
    {
        RefusedReason::Settings
    } else if error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() != std::io::ErrorKind::InvalidData)
    {
        RefusedReason::Internal
    } else {
        RefusedReason::NotAnArtifact
    };
    refused(reason, detail)
}

/// Maps the file at `path` and prepares what it exports. `linker` has version 0.2 of WASI; 0.3 is added for who needs it.
///
/// # Errors
/// The file is no artifact of this engine, or holds nothing that can be served.
pub fn load(engine: &Engine, linker: &Linker<Guest>, path: &Path, kind: Kind) -> Result<Program, Refused> {
    match kind {
        Kind::Component => load_component(engine, linker, path),
        Kind::Module => load_module(engine, path),
    }
}

fn load_component(engine: &Engine, linker: &Linker<Guest>, path: &Path) -> Result<Program, Refused> {
    // SAFETY: a forged file could run any native code. The dispatcher hands out only files whose signature it has
    // checked and that nobody writes to; the sandbox bounds what a mistake there can do.
    let component = unsafe { Component::deserialize_file(engine, path) }.map_err(|error| refuse_load(&error, path))?;
    let pre = match linker.instantiate_pre(&component) {
        Ok(pre) => pre,
        // It imports what is not there, or has another type there.
        Err(_) => with_0_3(linker)
            .map_err(|error| refused(RefusedReason::Internal, format!("{error:#}")))?
            .instantiate_pre(&component)
            .map_err(|error| refused(RefusedReason::World, format!("{error:#}")))?,
    };
    if let Ok(service) = p3::bindings::ServicePre::new(pre.clone()) {
        check_type(&component, "wasi:http/handler@0.3.0", "handle", |handle| {
            handle.async_() && owns(handle, 1) && returns_result(handle)
        })?;
        return Ok(Program::Http03(service));
    }
    if let Ok(proxy) = p2::bindings::ProxyPre::new(pre.clone()) {
        check_type(&component, "wasi:http/incoming-handler@0.2.0", "handle", |handle| {
            owns(handle, 2) && handle.results().len() == 0
        })?;
        return Ok(Program::Http02(proxy));
    }
    let runs = |run: &ComponentFunc| owns(run, 0) && returns_result(run);
    if let Ok(command) = wasmtime_wasi::p3::bindings::CommandPre::new(pre.clone()) {
        check_type(&component, "wasi:cli/run@0.3.0", "run", |run| run.async_() && runs(run))?;
        return Ok(Program::Command03(command));
    }
    if let Ok(command) = wasmtime_wasi::p2::bindings::CommandPre::new(pre) {
        check_type(&component, "wasi:cli/run@0.2.0", "run", runs)?;
        return Ok(Program::Command02(command));
    }
    Err(refused(
        RefusedReason::World,
        "the component exports none of wasi:http/handler@0.3, wasi:http/incoming-handler@0.2, wasi:cli/run",
    ))
}

/// Refuses an export that has the right name and another type. Wasmtime compares types when it instantiates, and there
/// it would look like a fault of the request.
fn check_type(
    component: &Component,
    interface: &str,
    function: &str,
    fits: impl Fn(&ComponentFunc) -> bool,
) -> Result<(), Refused> {
    let export = component
        .get_export_index(None, interface)
        .and_then(|interface| component.get_export(Some(&interface), function));
    if export.is_some_and(|(item, _)| matches!(&item, ComponentItem::ComponentFunc(func) if fits(func))) {
        return Ok(());
    }
    let name = interface.split('@').next().unwrap_or(interface);
    Err(refused(RefusedReason::World, format!("{name} of the component has another type than WASI gives it")))
}

/// Whether a function takes exactly so many parameters, all of them resources it then owns.
fn owns(func: &ComponentFunc, count: usize) -> bool {
    func.params().len() == count && func.params().all(|(_, ty)| matches!(ty, Type::Own(_)))
}

fn returns_result(func: &ComponentFunc) -> bool {
    func.results().len() == 1 && func.results().all(|ty| matches!(ty, Type::Result(_)))
}

fn load_module(engine: &Engine, path: &Path) -> Result<Program, Refused> {
    // SAFETY: as for components.
    let module = unsafe { Module::deserialize_file(engine, path) }.map_err(|error| refuse_load(&error, path))?;
    if !module.get_export("_start").is_some_and(|export| {
        export.func().is_some_and(|start| start.params().len() == 0 && start.results().len() == 0)
    }) {
        return Err(refused(RefusedReason::World, "the module does not export a function _start without parameters"));
    }
    let linker = build_module_linker(engine).map_err(|error| refused(RefusedReason::Internal, format!("{error:#}")))?;
    let pre = linker.instantiate_pre(&module).map_err(|error| refused(RefusedReason::World, format!("{error:#}")))?;
    Ok(Program::Module(pre))
}
