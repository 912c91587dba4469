//! A worker: serves the invocations of one lane, and ends.

use crate::active_wait::ActiveWait;
use crate::clock::{CpuClock, monotonic_ms};
use crate::http_request::header_map;
use crate::invocation::{Prepared, Setting};
use crate::lane_page::LanePage;
use crate::process::{exit_now, is_draining, set_worker_idle};
use crate::protocol::decoder::Decoder;
use crate::protocol::frame::{Frame, FrameType, Violation, violation};
use crate::protocol::headers::read_headers;
use crate::protocol::request::RequestHead;
use crate::protocol::text::PayloadReader;
use crate::report::report;
use crate::socket::{LaneSocket, Received};
use crate::stream::Stream;
use crate::ticker;
use crate::watch::metered;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// The exit status of a worker that has seen its dispatcher break the protocol.
pub const EXIT_VIOLATION: i32 = 2;

/// The exit status of a worker that could not do its work.
pub const EXIT_INTERNAL: i32 = 1;

/// With more requests at once it is the processor that is short and not the time: who looks out for the next one is in the way then.
const BUSY_AT_ONCE: u32 = 4;

/// Why a worker ends.
enum End {
    /// It has served what it should, and stands on a frame boundary.
    Finished,
    /// The dispatcher has closed the lane.
    LaneClosed,
    Violation(Violation),
    Broken(std::io::Error),
}

type Running<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = u32> + 'a>>>;

struct Worker<'a> {
    setting: &'a Setting<'a>,
    page: &'a LanePage,
    socket: LaneSocket,
    decoder: Decoder,
    streams: BTreeMap<u32, Arc<Stream>>,
    running: Running<'a>,
    /// Stream and deadline, in monotonic milliseconds, of what is running; the oldest first.
    deadlines: VecDeque<(u32, u64)>,
    prepared: Option<Prepared>,
    /// Requests taken so far.
    taken: u32,
    /// Of these, since the worker last had nothing to do.
    taken_at_once: u32,
    active_wait: ActiveWait,
}

/// Serves the lane until the worker is used up, and ends the process. Returns an exit status when it cannot begin.
pub fn run(setting: &Setting<'_>, page: &LanePage, lane: OwnedFd) -> i32 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime.block_on(async {
        let prepared = prepare_ahead(setting, page).await;
        let socket = match LaneSocket::new(lane) {
            Ok(socket) => socket,
            Err(error) => return fail(&error),
        };
        let mut worker = Worker {
            setting,
            page,
            socket,
            decoder: Decoder::default(),
            streams: BTreeMap::new(),
            running: FuturesUnordered::new(),
            deadlines: VecDeque::new(),
            prepared,
            taken: 0,
            taken_at_once: 0,
            active_wait: ActiveWait::default(),
        };
        let end = poll_fn(|context| worker.poll(context)).await;
        // The process ends here, which frees everything at once; to take it apart would be time lost.
        exit_now(worker.exit_status(end))
    })
}

fn fail(error: &std::io::Error) -> i32 {
    report(format_args!("worker: {error}"));
    EXIT_INTERNAL
}

/// Where a worker serves one request it makes the instance before it has one.
async fn prepare_ahead(setting: &Setting<'_>, page: &LanePage) -> Option<Prepared> {
    if setting.load.requests_per_worker != 1 {
        return None;
    }
    let deadline = Instant::now() + setting.wall();
    page.set_deadline_ms(monotonic_ms() + setting.load.wall_ms);
    let cpu = setting.cpu_budget();
    let preparing = ticked(&setting.clock, metered(&cpu, setting.prepare(&cpu, deadline)));
    let prepared = tokio::time::timeout_at(deadline.into(), preparing).await;
    page.set_deadline_ms(0);
    // Without an instance the invocation makes one itself, and says what is wrong.
    prepared.ok()?.ok()
}

/// Keeps the clock and the epoch timer going while `future` runs.
async fn ticked<T>(clock: &CpuClock, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    poll_fn(|context| {
        clock.start();
        ticker::enter();
        let poll = future.as_mut().poll(context);
        ticker::leave();
        poll
    })
    .await
}

impl Worker<'_> {
    fn exit_status(&self, end: End) -> i32 {
        match end {
            End::Finished => 0,
            End::LaneClosed => {
                self.page.set_lane_closed();
                0
            }
            End::Violation(violation) => {
                report(format_args!("worker: {violation}"));
                EXIT_VIOLATION
            }
            End::Broken(error) => fail(&error),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        set_worker_idle(false);
        self.setting.outbox.wake_on_append(context.waker());
        loop {
            let received = match self.receive(context) {
                Ok(received) => received,
                Err(end) => return Poll::Ready(end),
            };
            let ended = self.run_guests(context);
            if let Err(error) = self.socket.send(&self.setting.outbox, context) {
                return Poll::Ready(match error.kind() {
                    std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => End::LaneClosed,
                    _ => End::Broken(error),
                });
            }
            if self.is_finished() {
                return Poll::Ready(End::Finished);
            }
            if self.is_over() {
                // Connections that wait for further requests: none comes.
                self.setting.egress.close();
            }
            self.setting.used_up.borrow_mut().clear();
            if !received && !ended {
                match self.wait_actively() {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(end) => return Poll::Ready(end),
                }
                set_worker_idle(self.is_idle());
                // The signal may have come while the worker was not idle.
                return if self.is_finished() { Poll::Ready(End::Finished) } else { Poll::Pending };
            }
        }
    }

    /// Reads what the lane has; tells whether it had something.
    fn receive(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        match self.socket.receive(&mut self.decoder, context) {
            Ok(Received::Nothing) => return Ok(false),
            Ok(Received::Bytes) => self.active_wait.woken(),
            Ok(Received::Closed) => return Err(End::LaneClosed),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Err(End::LaneClosed),
            Err(error) => return Err(End::Broken(error)),
        }
        self.read_frames()?;
        Ok(true)
    }

    fn read_frames(&mut self) -> Result<(), End> {
        while let Some(frame) = self.decoder.next_frame().map_err(End::Violation)? {
            self.on_frame(frame).map_err(End::Violation)?;
        }
        Ok(())
    }

    /// Where further requests may follow at once, looks for the next one before it sleeps; tells whether one came.
    fn wait_actively(&mut self) -> Result<bool, End> {
        let taken_at_once = std::mem::take(&mut self.taken_at_once);
        if self.setting.load.requests_per_worker == 1 || taken_at_once > BUSY_AT_ONCE || !self.is_idle() {
            return Ok(false);
        }
        let Self { active_wait, socket, decoder, .. } = self;
        let found = active_wait.wait(|| match socket.try_receive(decoder) {
            Ok(Received::Nothing) => Ok(None),
            Ok(Received::Bytes) => Ok(Some(())),
            Ok(Received::Closed) => Err(End::LaneClosed),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Err(End::LaneClosed),
            Err(error) => Err(End::Broken(error)),
        })?;
        if found.is_some() {
            self.read_frames()?;
        }
        Ok(found.is_some())
    }

    fn on_frame(&mut self, frame: Frame) -> Result<(), Violation> {
        if frame.stream.is_multiple_of(2) {
            return self.setting.egress.lane().on_frame(frame);
        }
        let stream = self.streams.get(&frame.stream);
        match (frame.frame_type, stream) {
            (FrameType::Request, None) => self.on_request(frame),
            (FrameType::Request, Some(_)) => violation("REQUEST on a stream that is in use"),
            (FrameType::Body, Some(stream)) => stream.on_body(frame.payload),
            (FrameType::End, Some(stream)) => {
                let mut reader = PayloadReader::new(frame.payload);
                let trailers = read_headers(&mut reader)?;
                reader.end()?;
                let trailers = if trailers.is_empty() {
                    None
                } else {
                    Some(header_map(&trailers).map_err(|error| Violation(format!("trailers: {error}")))?)
                };
                stream.on_end(trailers)?;
                self.forget_if_over(frame.stream);
                Ok(())
            }
            (FrameType::Credit, Some(stream)) => {
                let mut reader = PayloadReader::new(frame.payload);
                let bytes = reader.u32()?;
                reader.end()?;
                stream.on_credit(bytes);
                Ok(())
            }
            (FrameType::Cancel, Some(stream)) => {
                PayloadReader::new(frame.payload).end()?;
                stream.on_cancel();
                self.forget_if_over(frame.stream);
                Ok(())
            }
            (FrameType::Body | FrameType::End | FrameType::Credit | FrameType::Cancel, None) => Ok(()),
            (other, _) => violation(format!("{other:?} is not for a worker")),
        }
    }

    fn on_request(&mut self, frame: Frame) -> Result<(), Violation> {
        let load = self.setting.load;
        if self.taken == load.requests_per_worker {
            return violation("REQUEST for a worker that has had all it takes");
        }
        if self.running.len() >= load.concurrency as usize {
            return violation("more invocations at once than the worker takes");
        }
        let head = RequestHead::read(frame.payload)?;
        self.taken += 1;
        self.taken_at_once += 1;
        let stream = Arc::new(Stream::new(frame.stream, self.setting.outbox.clone()));
        self.streams.insert(frame.stream, stream.clone());
        let deadline_ms = monotonic_ms() + load.wall_ms;
        self.deadlines.push_back((frame.stream, deadline_ms));
        self.publish_deadline();
        let prepared = self.prepared.take();
        self.running.push(Box::pin(self.setting.invoke(stream, head, prepared, Instant::now())));
        Ok(())
    }

    /// Lets the guests run as far as they can; tells whether one has ended.
    fn run_guests(&mut self, context: &mut Context<'_>) -> bool {
        if self.running.is_empty() {
            return false;
        }
        let mut any = false;
        ticker::enter();
        self.setting.clock.start();
        while let Poll::Ready(Some(stream)) = self.running.poll_next_unpin(context) {
            any = true;
            self.deadlines.retain(|(running, _)| *running != stream);
            self.publish_deadline();
            self.forget_if_over(stream);
        }
        ticker::leave();
        any
    }

    fn publish_deadline(&self) {
        self.page.set_deadline_ms(self.deadlines.front().map_or(0, |(_, deadline_ms)| *deadline_ms));
    }

    fn forget_if_over(&mut self, number: u32) {
        if self.streams.get(&number).is_some_and(|stream| stream.is_over()) {
            self.streams.remove(&number);
        }
    }

    /// Nothing is running, nothing is half read or half written.
    fn is_idle(&self) -> bool {
        self.streams.is_empty()
            && self.setting.egress.lane().is_empty()
            && self.decoder.is_empty()
            && self.setting.outbox.is_empty()
    }

    /// No invocation runs, and no further one is taken.
    fn is_over(&self) -> bool {
        (self.taken == self.setting.load.requests_per_worker || is_draining()) && self.streams.is_empty()
    }

    fn is_finished(&self) -> bool {
        self.is_over() && self.is_idle()
    }
}
