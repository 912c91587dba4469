//! One invocation: from the head of a request to DONE.

use crate::answer::Answer;
use crate::cgi;
use crate::clock::thread_cpu_ns;
use crate::failure::Failure;
use crate::guest_log::GuestLog;
use crate::host::{CommandStreams, Guest, new_store};
use crate::http_request::http_request;
use crate::outbox::Outbox;
use crate::program::{Instance, Program};
use crate::protocol::control::Load;
use crate::protocol::done::{Done, Outcome};
use crate::protocol::frame::{FrameType, write_frame};
use crate::protocol::request::RequestHead;
use crate::request_body::{RequestBody, Stdin};
use crate::stdout_pipe::StdoutPipe;
use crate::stream::Stream;
use futures::channel::oneshot;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use wasmtime::{Engine, Store};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::{WasiBody, WasiHttpView, p3};

/// What all invocations of a worker have in common.
pub struct Setting<'a> {
    pub engine: &'a Engine,
    pub program: &'a Program,
    pub load: &'a Load,
    pub outbox: Outbox,
    /// The number of this worker.
    pub worker: u32,
}

/// An instance that waits for its request, or the reason why there is none.
pub struct Prepared {
    store: Store<Guest>,
    log: GuestLog,
    instance: wasmtime::Result<Instance>,
}

type GuestFuture<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + 'a>>;
type ResponseReceiver = oneshot::Receiver<Result<http::Response<WasiBody>, String>>;

impl Setting<'_> {
    /// How long an invocation may take.
    pub fn wall(&self) -> Duration {
        Duration::from_millis(self.load.wall_ms)
    }

    /// Makes an instance, which may run start functions of the guest.
    ///
    /// # Errors
    /// Memory is too short for a store. What goes wrong in the guest is kept in the result instead.
    pub async fn prepare(&self, deadline: Instant) -> wasmtime::Result<Prepared> {
        let load = self.load;
        let log = GuestLog::new(self.outbox.clone(), load.log_bytes);
        let mut store = new_store(self.engine, &load.env, &log, load.fuel, load.memory_bytes, deadline)?;
        if let Program::Module(_) = self.program {
            store.data_mut().set_preview1(&load.env, &log, None);
        }
        let instance = self.program.instantiate(&mut store).await;
        Ok(Prepared { store, log, instance })
    }

    /// Serves one request, up to DONE.
    pub async fn invoke(
        &self,
        stream: Arc<Stream>,
        head: RequestHead,
        prepared: Option<Prepared>,
        started: Instant,
    ) -> u32 {
        let watch = Watch { stream: &stream, deadline: started + self.wall(), cpu_ns: Cell::new(0) };
        let usage = Usage::default();
        let result = self.run(&watch, &usage, &stream, head, prepared).await;
        let (outcome, detail) = match result {
            Ok(()) => (Outcome::Ok, String::new()),
            Err(failure) => (failure.outcome, failure.detail),
        };
        let done = Done {
            outcome,
            detail,
            fuel: usage.fuel.get(),
            cpu_us: watch.cpu_ns.get() / 1_000,
            wall_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            peak_memory_bytes: usage.peak_memory_bytes.get(),
            worker: self.worker,
        };
        self.outbox.append(|out| write_frame(out, FrameType::Done, stream.number, |out| done.write(out)));
        stream.set_done();
        stream.number
    }

    async fn run(
        &self,
        watch: &Watch<'_>,
        usage: &Usage,
        stream: &Arc<Stream>,
        head: RequestHead,
        prepared: Option<Prepared>,
    ) -> Result<(), Failure> {
        let prepared = match prepared {
            Some(prepared) => prepared,
            None => watch
                .over(self.prepare(watch.deadline))
                .await?
                .map_err(|error| Failure::new(Outcome::Internal, format!("{error:#}")))?,
        };
        let Prepared { mut store, log, instance } = prepared;
        store.data_mut().deadline = watch.deadline;
        log.attach(stream.number);
        let instance = match instance {
            Ok(instance) => instance,
            Err(error) => {
                usage.take(self.load, &store);
                return Err(Failure::from_guest_error(&error, store.data().limiter.has_refused()));
            }
        };
        let answer = Answer::new(stream, &self.outbox, self.load.response_header_bytes, &head.method[..] == b"HEAD");
        let (response, stdout) = if self.program.is_command() {
            (None, Some(self.give_command(&mut store, &log, stream, &head)))
        } else {
            (Some(oneshot::channel()), None)
        };
        let (sender, receiver) = response.unzip();
        let mut sending = pin!(send_answer(&answer, receiver, stdout.clone()));
        let mut sent = false;
        let ended = {
            let mut guest = call(&mut store, &instance, stream, &head, sender)?;
            watch
                .over(poll_fn(|context| {
                    // The guest first: what it has ready is then sent at once, and nothing of a guest that has failed.
                    if let Poll::Ready(ended) = guest.as_mut().poll(context) {
                        return Poll::Ready(Ok(ended));
                    }
                    if !sent && let Poll::Ready(result) = sending.as_mut().poll(context) {
                        match result {
                            Ok(()) => sent = true,
                            Err(failure) => return Poll::Ready(Err(failure)),
                        }
                    }
                    Poll::Pending
                }))
                .await
        };
        usage.take(self.load, &store);
        let refused = store.data().limiter.has_refused();
        // A body that the guest has left unfinished ends with the store.
        drop(store);
        match ended?? {
            Ok(()) => {}
            Err(error) => return Err(Failure::from_guest_error(&error, refused)),
        }
        if let Some(stdout) = stdout {
            stdout.close();
        }
        if !sent {
            let result = watch.over(sending).await?;
            if refused && result.as_ref().is_err_and(|failure| failure.outcome == Outcome::NoResponse) {
                return Err(Failure::new(Outcome::MemoryExceeded, "memory was refused, and the guest gave no answer"));
            }
            result?;
        }
        Ok(())
    }

    /// Gives a command its request; returns its standard output.
    fn give_command(
        &self,
        store: &mut Store<Guest>,
        log: &GuestLog,
        stream: &Arc<Stream>,
        head: &RequestHead,
    ) -> StdoutPipe {
        let stdout = StdoutPipe::default();
        let command = CommandStreams {
            stdin: Stdin(stream.clone()),
            stdout: stdout.clone(),
            variables: cgi::variables::variables(head),
        };
        if let Program::Module(_) = self.program {
            store.data_mut().set_preview1(&self.load.env, log, Some(command));
        } else {
            store.data_mut().set_command(&self.load.env, log, command);
        }
        stdout
    }
}

/// Waits for the response of the guest, or reads it from its standard output, and sends it.
async fn send_answer(
    answer: &Answer<'_>,
    receiver: Option<ResponseReceiver>,
    stdout: Option<StdoutPipe>,
) -> Result<(), Failure> {
    let response = match (receiver, stdout) {
        (Some(receiver), _) => match receiver.await {
            Ok(Ok(response)) => response,
            Ok(Err(code)) => {
                return Err(Failure::new(Outcome::NoResponse, format!("the guest answered with the error {code}")));
            }
            Err(_) => return Err(Failure::new(Outcome::NoResponse, "the guest ended without a response")),
        },
        (None, Some(stdout)) => cgi::response::read_response(stdout, answer.max_header_bytes()).await?,
        (None, None) => return Err(Failure::new(Outcome::Internal, "nowhere to wait for a response")),
    };
    answer.send(response).await
}

/// Starts the export that the instance has.
fn call<'a>(
    store: &'a mut Store<Guest>,
    instance: &'a Instance,
    stream: &Arc<Stream>,
    head: &RequestHead,
    sender: Option<oneshot::Sender<Result<http::Response<WasiBody>, String>>>,
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

/// What an invocation has used.
#[derive(Default)]
struct Usage {
    fuel: Cell<u64>,
    peak_memory_bytes: Cell<u64>,
}

impl Usage {
    fn take(&self, load: &Load, store: &Store<Guest>) {
        self.fuel.set(load.fuel - store.get_fuel().unwrap_or(load.fuel).min(load.fuel));
        self.peak_memory_bytes.set(store.data().limiter.peak_bytes());
    }
}

/// Ends what it watches at the deadline and on CANCEL, and counts its CPU time.
struct Watch<'a> {
    stream: &'a Stream,
    deadline: Instant,
    cpu_ns: Cell<u64>,
}

impl Watch<'_> {
    /// Runs `future` to its end.
    ///
    /// # Errors
    /// It was cancelled, or took too long; it is dropped then, wherever it is.
    async fn over<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let mut future = pin!(future);
        let mut timeout = pin!(tokio::time::sleep_until(self.deadline.into()));
        poll_fn(|context| {
            if self.stream.poll_cancelled(context).is_ready() {
                return Poll::Ready(Err(Failure::new(Outcome::Cancelled, "nobody waits for the answer any more")));
            }
            let before = thread_cpu_ns();
            let poll = future.as_mut().poll(context);
            self.cpu_ns.set(self.cpu_ns.get() + (thread_cpu_ns() - before));
            match poll {
                Poll::Ready(value) => Poll::Ready(Ok(value)),
                // Only a guest that waits costs a timer.
                Poll::Pending if timeout.as_mut().poll(context).is_ready() => {
                    Poll::Ready(Err(Failure::wall_exceeded()))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
