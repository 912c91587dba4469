//! Calling the export that an instance has.

use crate::failure::Failure;
use crate::host::Guest;
use crate::http_request::http_request;
use crate::program::Instance;
use crate::protocol::done::Outcome;
use crate::protocol::request::RequestHead;
use crate::request_body::RequestBody;
use crate::stream::Stream;
use futures::channel::oneshot;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::{WasiBody, WasiHttpView, p3};

/// A call under way; it ends when the guest has nothing more to do.
pub type GuestFuture<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + 'a>>;

/// Where a `wasi:http` guest's response, or its error code as text, is put.
pub type ResponseSender = oneshot::Sender<Result<http::Response<WasiBody>, String>>;

/// Starts the export that the instance has.
///
/// # Errors
/// The request cannot be passed on.
pub fn call<'a>(
    store: &'a mut Store<Guest>,
    instance: &'a Instance,
    stream: &Arc<Stream>,
    head: &RequestHead,
    sender: Option<ResponseSender>,
) -> Result<GuestFuture<'a>, Failure> {
    let request = || {
        http_request(head, RequestBody(stream.clone()))
            .map_err(|error| Failure::new(Outcome::Internal, format!("the request cannot be passed on: {error}")))
    };
    let internal = |error: wasmtime::Error| Failure::new(Outcome::Internal, format!("{error:#}"));
    Ok(match (instance, sender) {
        (Instance::Http02(proxy), Some(sender)) => {
            let request = request()?;
            let scheme = http02_scheme(request.uri().scheme_str());
            let mut view = store.data_mut().http();
            let request = view.new_incoming_request(scheme, request).map_err(internal)?;
            let respond = std::sync::Mutex::new(Some(sender));
            let out = view
                .new_response_outparam_from_callback(move |response| {
                    if let Some(sender) = respond.into_inner().ok().flatten() {
                        // The receiver is gone when the invocation has ended already.
                        let _ = sender.send(response.map_err(|code| format!("{code:?}")));
                    }
                })
                .map_err(internal)?;
            Box::pin(async move { proxy.wasi_http_incoming_handler().call_handle(store, request, out).await })
        }
        (Instance::Http03(service), Some(sender)) => {
            let request = request()?;
            let (request, io) = http03_request(store.data_mut(), request);
            Box::pin(async move {
                store
                    .run_concurrent(async |accessor| {
                        let response = match service.handle(accessor, request).await? {
                            Ok(response) => Ok(accessor.with(|mut access| response.into_http(&mut access, io))?),
                            Err(code) => Err(format!("{code:?}")),
                        };
                        // The receiver is gone when the invocation has ended already.
                        let _ = sender.send(response);
                        // The guest may go on to produce the body, and work after it.
                        poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
                        Ok(())
                    })
                    .await?
            })
        }
        (Instance::Command02(command), _) => {
            Box::pin(async move { exit_result(command.wasi_cli_run().call_run(store).await) })
        }
        (Instance::Command03(command), _) => Box::pin(async move {
            let result = store
                .run_concurrent(async |accessor| {
                    let result = command.wasi_cli_run().call_run(accessor).await;
                    poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
                    result
                })
                .await?;
            exit_result(result)
        }),
        (Instance::Module(start), _) => Box::pin(async move { exit_result(start.call_async(store, ()).await.map(Ok)) }),
        (_, None) => return Err(Failure::new(Outcome::Internal, "nowhere to put a response")),
    })
}

/// A command ends well by returning `ok` or by exiting with code 0.
fn exit_result(result: wasmtime::Result<Result<(), ()>>) -> wasmtime::Result<()> {
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(())) => Err(I32Exit(1).into()),
        Err(error) if error.downcast_ref::<I32Exit>().is_some_and(|exit| exit.0 == 0) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The future tells the guest how the request was processed; it goes with the response.
type RequestIo = Pin<Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>>;

fn http03_request(guest: &mut Guest, request: http::Request<RequestBody>) -> (p3::Request, RequestIo) {
    let (request, io) = p3::Request::from_http(guest.http().hooks, request);
    (request, Box::pin(io))
}

fn http02_scheme(scheme: Option<&str>) -> wasmtime_wasi_http::p2::bindings::http::types::Scheme {
    use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
    match scheme {
        None | Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        Some(other) => Scheme::Other(other.into()),
    }
}
