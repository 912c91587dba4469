//! Loading a precompiled file, and finding out which export to call.
#![allow(unsafe_code, reason = "Wasmtime cannot check that a precompiled file holds what its compiler wrote")]

use crate::host::{Guest, build_module_linker};
use crate::program::Program;
use crate::protocol::control::{Kind, Refused, RefusedReason};
use std::path::Path;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Module};
use wasmtime_wasi_http::{p2, p3};

fn refused(reason: RefusedReason, detail: impl Into<String>) -> Refused {
    Refused { reason, detail: detail.into() }
}

/// Sorts the messages of Wasmtime's compatibility checks; they have no types.
fn refuse_load(error: &wasmtime::Error) -> Refused {
    let detail = format!("{error:#}");
    let reason = if detail.contains("incompatible version") {
        RefusedReason::Version
    } else if detail.contains("incompatible with native host")
        || detail.contains("not available on the host")
        || detail.contains("for architecture")
        || detail.contains("for operating system")
    {
        RefusedReason::Cpu
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

/// Maps the file at `path` and prepares what it exports.
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
    let component = unsafe { Component::deserialize_file(engine, path) }.map_err(|error| refuse_load(&error))?;
    let pre =
        linker.instantiate_pre(&component).map_err(|error| refused(RefusedReason::World, format!("{error:#}")))?;
    if let Ok(pre) = p3::bindings::ServicePre::new(pre.clone()) {
        return Ok(Program::Http03(pre));
    }
    if let Ok(pre) = p2::bindings::ProxyPre::new(pre.clone()) {
        return Ok(Program::Http02(pre));
    }
    if let Ok(pre) = wasmtime_wasi::p3::bindings::CommandPre::new(pre.clone()) {
        return Ok(Program::Command03(pre));
    }
    if let Ok(pre) = wasmtime_wasi::p2::bindings::CommandPre::new(pre) {
        return Ok(Program::Command02(pre));
    }
    Err(refused(
        RefusedReason::World,
        "the component exports none of wasi:http/handler@0.3, wasi:http/incoming-handler@0.2, wasi:cli/run",
    ))
}

fn load_module(engine: &Engine, path: &Path) -> Result<Program, Refused> {
    // SAFETY: as for components.
    let module = unsafe { Module::deserialize_file(engine, path) }.map_err(|error| refuse_load(&error))?;
    if !module.get_export("_start").is_some_and(|export| {
        export.func().is_some_and(|start| start.params().len() == 0 && start.results().len() == 0)
    }) {
        return Err(refused(RefusedReason::World, "the module does not export a function _start without parameters"));
    }
    let linker = build_module_linker(engine).map_err(|error| refused(RefusedReason::Internal, format!("{error:#}")))?;
    let pre = linker.instantiate_pre(&module).map_err(|error| refused(RefusedReason::World, format!("{error:#}")))?;
    Ok(Program::Module(pre))
}
