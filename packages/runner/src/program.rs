//! A loaded function, ready to be instantiated, and an instance of it.

use crate::host::Guest;
use crate::protocol::control::World;
use wasmtime::{InstancePre, Store, TypedFunc};
use wasmtime_wasi_http::{p2, p3};

/// What was loaded; which export it has decides how it is called.
pub enum Program {
    Http03(p3::bindings::ServicePre<Guest>),
    Http02(p2::bindings::ProxyPre<Guest>),
    Command03(wasmtime_wasi::p3::bindings::CommandPre<Guest>),
    Command02(wasmtime_wasi::p2::bindings::CommandPre<Guest>),
    Module(InstancePre<Guest>),
}

/// An instance in its store.
pub enum Instance {
    Http03(p3::bindings::Service),
    Http02(p2::bindings::Proxy),
    Command03(wasmtime_wasi::p3::bindings::Command),
    Command02(wasmtime_wasi::p2::bindings::Command),
    Module(TypedFunc<(), ()>),
}

impl Program {
    /// The name of what is exported.
    pub fn world(&self) -> World {
        match self {
            Self::Http03(_) => World::Http03,
            Self::Http02(_) => World::Http02,
            Self::Command03(_) | Self::Command02(_) => World::Command,
            Self::Module(_) => World::Module,
        }
    }

    /// Whether it is called as CGI.
    pub fn is_command(&self) -> bool {
        matches!(self, Self::Command03(_) | Self::Command02(_) | Self::Module(_))
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// Memory is refused, or a start function traps.
    pub async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Instance> {
        Ok(match self {
            Self::Http03(pre) => Instance::Http03(pre.instantiate_async(store).await?),
            Self::Http02(pre) => Instance::Http02(pre.instantiate_async(store).await?),
            Self::Command03(pre) => Instance::Command03(pre.instantiate_async(store).await?),
            Self::Command02(pre) => Instance::Command02(pre.instantiate_async(store).await?),
            Self::Module(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                Instance::Module(instance.get_typed_func(store, "_start")?)
            }
        })
    }
}
