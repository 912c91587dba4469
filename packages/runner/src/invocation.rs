//! One invocation: from the head of a request to DONE.

use crate::answer::Answer;
use crate::call::{ResponseSender, call};
use crate::cgi;
use crate::clock::CpuClock;
use crate::cpu_budget::CpuBudget;
use crate::egress::guest::GuestEgress;
use crate::egress::http_client::HttpClient;
use crate::failure::Failure;
use crate::guest_log::GuestLog;
use crate::host::{CommandStreams, Guest, new_store};
use crate::outbox::Outbox;
use crate::program::{Instance, Program};
use crate::protocol::control::Load;
use crate::protocol::done::{Done, Outcome};
use crate::protocol::frame::{FrameType, write_frame};
use crate::protocol::request::RequestHead;
use crate::request_body::Stdin;
use crate::stdout_pipe::StdoutPipe;
use crate::stream::Stream;
use crate::watch::{Watch, metered};
use futures::channel::oneshot;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use wasmtime::{Engine, Store};
use wasmtime_wasi_http::WasiBody;

/// What all invocations of a worker have in common.
pub struct Setting<'a> {
    pub engine: &'a Engine,
    pub program: &'a Program,
    pub load: &'a Load,
    pub outbox: Outbox,
    pub egress: Arc<HttpClient>,
    /// The number of this worker.
    pub worker: u32,
    pub clock: CpuClock,
    /// Stores that are used up. To drop them takes longer than many a request, so it waits until the answer is written.
    pub used_up: RefCell<Vec<Store<Guest>>>,
}

/// An instance that waits for its request, or the reason why there is none.
pub struct Prepared {
    store: Store<Guest>,
    log: GuestLog,
    instance: wasmtime::Result<Instance>,
}

type ResponseReceiver = oneshot::Receiver<Result<http::Response<WasiBody>, String>>;

impl Setting<'_> {
    /// How long an invocation may take.
    pub fn wall(&self) -> Duration {
        Duration::from_millis(self.load.wall_ms)
    }

    /// The CPU time of a further invocation.
    pub fn cpu_budget(&self) -> CpuBudget {
        CpuBudget::new(self.clock.clone(), self.load.cpu_ms)
    }

    /// Makes an instance, which may run start functions of the guest.
    ///
    /// # Errors
    /// Memory is too short for a store. What goes wrong in the guest is kept in the result instead.
    pub async fn prepare(&self, cpu: &CpuBudget, deadline: Instant) -> wasmtime::Result<Prepared> {
        let load = self.load;
        let log = GuestLog::new(self.outbox.clone(), load.log_bytes, load.log_lines);
        let egress = GuestEgress::new(self.egress.clone());
        let mut store = new_store(self.engine, load, &log, egress, cpu.clone(), deadline)?;
        if let Program::Module(_) = self.program {
            store.data_mut().set_preview1(load, &log, None);
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
        let cpu = self.cpu_budget();
        let watch = Watch { stream: &stream, deadline: started + self.wall(), cpu: &cpu };
        let usage = Usage::default();
        let result = metered(&cpu, self.run(&watch, &usage, &stream, head, prepared)).await;
        let (outcome, detail) = match result {
            Ok(()) => (Outcome::Ok, String::new()),
            Err(failure) => (failure.outcome, failure.detail),
        };
        let done = Done {
            outcome,
            detail,
            fuel: usage.fuel.get(),
            cpu_us: cpu.used_us(),
            wall_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            peak_memory_bytes: usage.peak_memory_bytes.get(),
            worker: self.worker,
        };
        self.egress.end_invocation(stream.number, self.load.requests_per_worker == 1);
        self.outbox.append(|out| write_frame(out, FrameType::Done, stream.number, |out| done.write(out)));
        stream.set_done();
        stream.number
    }

    /// Everything but the account: instance, call, answer. What the guest has used is noted in `usage`.
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
                .over(self.prepare(watch.cpu, watch.deadline))
                .await?
                .map_err(|error| Failure::new(Outcome::Internal, format!("{error:#}")))?,
        };
        let Prepared { mut store, log, instance } = prepared;
        store.data_mut().deadline = watch.deadline;
        store.data_mut().cpu = watch.cpu.clone();
        log.attach(stream.number);
        store.data().egress.attach(stream.number);
        let instance = match instance {
            Ok(instance) => instance,
            Err(error) => {
                usage.take(self.load, &store);
                return Err(Failure::from_guest_error(&error, store.data().limiter.refusal()));
            }
        };
        let answer = Answer::new(stream, &self.outbox, self.load.response_header_bytes, &head.method[..] == b"HEAD");
        let (response, stdout) = if self.program.is_command() {
            (None, Some(self.give_command(&mut store, &log, stream, &head)))
        } else {
            (Some(oneshot::channel()), None)
        };
        let (sender, receiver): (Option<ResponseSender>, _) = response.unzip();
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
        let refusal = store.data().limiter.refusal();
        match ended {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => {
                self.used_up.borrow_mut().push(store);
                return Err(Failure::from_guest_error(&error, refusal));
            }
            Ok(Err(failure)) | Err(failure) => {
                self.used_up.borrow_mut().push(store);
                return Err(failure);
            }
        }
        if let Some(stdout) = stdout {
            stdout.close();
        }
        if sent {
            self.used_up.borrow_mut().push(store);
            return Ok(());
        }
        // Mostly all of the answer is there now.
        let result = match poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await {
            Poll::Ready(result) => {
                self.used_up.borrow_mut().push(store);
                result
            }
            Poll::Pending => {
                // A response that the guest has not given, and a body that it has not finished, end with the store.
                drop(store);
                watch.over(sending).await?
            }
        };
        if let Some(refusal) = refusal
            && result.as_ref().is_err_and(|failure| failure.outcome == Outcome::NoResponse)
        {
            return Err(Failure::refused(refusal, "the guest gave no answer"));
        }
        result
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
            store.data_mut().set_preview1(self.load, log, Some(command));
        } else {
            store.data_mut().set_command(self.load, log, command);
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
