//! The spawner: obeys the dispatcher, and sees sandboxes to their end.

use crate::children::{self, Exit};
use crate::control_groups::{ControlGroups, Host};
use crate::dispatcher::{Dispatcher, Violation};
use crate::late_kills::LateKills;
use crate::launch::Launcher;
use crate::message::{Event, Request, Start};
use crate::report::report;
use crate::sandbox::Sandbox;
use crate::settings::Settings;
use crate::signals::ChildSignal;
use crate::watch::{Source, Watch};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

/// Why the spawner ends.
#[derive(Debug)]
pub enum End {
    /// The dispatcher has closed the socket, or is gone.
    Closed,
    Violation(Violation),
    Broken(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// The state of the spawner.
pub struct Spawner {
    dispatcher: Dispatcher,
    watch: Watch,
    child_signal: ChildSignal,
    launcher: Launcher,
    groups: ControlGroups,
    settings: Option<Settings>,
    sandboxes: HashMap<u32, Sandbox>,
    late_kills: LateKills,
}

impl Spawner {
    /// # Errors
    /// A system call fails.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        let spawner = Self {
            dispatcher: Dispatcher::new(socket)?,
            watch: Watch::new()?,
            child_signal: ChildSignal::open()?,
            launcher: Launcher::new()?,
            groups: ControlGroups::open(Host::describe()),
            settings: None,
            sandboxes: HashMap::new(),
            late_kills: LateKills::default(),
        };
        spawner.watch.add(&spawner.dispatcher.socket, Source::Dispatcher)?;
        spawner.watch.add(&spawner.child_signal.0, Source::Children)?;
        Ok(spawner)
    }

    /// Serves the dispatcher until it is gone, ends all sandboxes, and removes their folders.
    pub fn run(mut self) -> End {
        let end = loop {
            if let Err(end) = self.turn() {
                break end;
            }
        };
        if let Err(error) = self.end_all() {
            return End::Broken(error);
        }
        end
    }

    fn turn(&mut self) -> Result<(), End> {
        for source in self.watch.wait(self.late_kills.timeout_ms())? {
            match source {
                Source::Dispatcher => self.obey()?,
                other => self.on_ready(other),
            }
        }
        self.kill_late();
        Ok(())
    }

    fn on_ready(&mut self, source: Source) {
        match source {
            // Nobody is obeyed any more.
            Source::Dispatcher => {}
            Source::Children => self.wait_for_children(),
            Source::Stderr(id) => {
                if let Some(sandbox) = self.sandboxes.get_mut(&id) {
                    sandbox.read_stderr();
                    self.finish(id);
                }
            }
            Source::InnerPid(id) => self.kill(id),
        }
    }

    fn obey(&mut self) -> Result<(), End> {
        if !self.dispatcher.receive()? {
            return Err(End::Closed);
        }
        while let Some(request) = self.dispatcher.next_request()? {
            match request {
                Request::Configure(configure) => {
                    if self.settings.is_some() {
                        return Err(Violation("it was configured twice".to_owned()).into());
                    }
                    self.settings = Some(Settings::open(configure)?);
                    self.dispatcher.tell(&Event::ControlGroups { state: &self.groups.state });
                }
                Request::Start(start) => self.start(start)?,
                Request::Kill(kill) => {
                    if self.sandboxes.contains_key(&kill.id) {
                        self.groups.kill(kill.id);
                        self.kill(kill.id);
                    }
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, start: Start) -> Result<(), End> {
        let Some(settings) = &self.settings else {
            return Err(Violation("a sandbox was asked for before anything was configured".to_owned()).into());
        };
        let id = start.id;
        if self.sandboxes.contains_key(&id) {
            return Err(Violation(format!("there is a sandbox {id} already")).into());
        }
        let started = Sandbox::start(start, settings, &self.groups, &mut self.launcher);
        match started {
            Ok(sandbox) => {
                // Known first: should it not be watched, it is ended with all the others.
                let sandbox = self.sandboxes.entry(id).insert_entry(sandbox).into_mut();
                if let Some(stderr) = &sandbox.stderr {
                    self.watch.add(stderr, Source::Stderr(id))?;
                }
            }
            Err(reason) => self.clear_away(id, Exit { code: None, signal: None }, &reason),
        }
        Ok(())
    }

    /// Kills a sandbox, now or as soon as it is known whom to kill.
    fn kill(&mut self, id: u32) {
        let Some(sandbox) = self.sandboxes.get_mut(&id) else { return };
        if sandbox.kill() || !self.late_kills.add(id) {
            return;
        }
        if let Err(error) = self.watch.add(&sandbox.inner, Source::InnerPid(id)) {
            // It is killed later, then.
            report(format_args!("sandbox {id} cannot be watched: {error}"));
        }
    }

    /// Ends bubblewraps that still have not said what is inside them. What has got inside meanwhile is killed as an orphan.
    fn kill_late(&mut self) {
        while let Some(id) = self.late_kills.next_due() {
            if let Some(sandbox) = self.sandboxes.get_mut(&id)
                && !sandbox.kill()
            {
                children::kill(sandbox.outer);
            }
        }
    }

    fn wait_for_children(&mut self) {
        self.child_signal.clear();
        while let Some((pid, exit)) = children::reap() {
            let ended = self.sandboxes.iter_mut().find(|(_, sandbox)| sandbox.outer == pid && sandbox.exit.is_none());
            // Others are orphans that have ended, or never became bubblewrap.
            let Some((&id, sandbox)) = ended else { continue };
            sandbox.exit = Some(exit);
            sandbox.read_stderr();
            if !sandbox.is_over() {
                self.kill_orphans();
            }
            self.finish(id);
        }
    }

    fn kill_orphans(&self) {
        children::kill_orphans(|pid| {
            self.sandboxes.values().any(|sandbox| sandbox.outer == pid && sandbox.exit.is_none())
        });
    }

    /// Tells of a sandbox's end, if it has come to it.
    fn finish(&mut self, id: u32) {
        if self.sandboxes.get(&id).is_none_or(|sandbox| !sandbox.is_over()) {
            return;
        }
        if let Some(sandbox) = self.sandboxes.remove(&id)
            && let Some(exit) = sandbox.exit
        {
            let said = sandbox.said();
            drop(sandbox);
            self.clear_away(id, exit, &said);
        }
    }

    /// Removes what a sandbox had, and says that it is gone.
    fn clear_away(&self, id: u32, exit: Exit, stderr: &str) {
        self.groups.remove(id);
        if let Some(Err(error)) = self.settings.as_ref().map(|settings| settings.folder.remove(id)) {
            report(format_args!("the folder of sandbox {id} cannot be removed: {error}"));
        }
        self.dispatcher.tell(&Event::Exited { id, code: exit.code, signal: exit.signal, stderr });
    }

    /// Ends all sandboxes, waits until they are gone, and removes what is left.
    fn end_all(&mut self) -> io::Result<()> {
        self.watch.remove(&self.dispatcher.socket)?;
        let ids: Vec<u32> = self.sandboxes.keys().copied().collect();
        for id in ids {
            self.groups.kill(id);
            self.kill(id);
        }
        while !self.sandboxes.is_empty() {
            for source in self.watch.wait(self.late_kills.timeout_ms())? {
                self.on_ready(source);
            }
            self.kill_late();
        }
        self.settings.as_ref().map_or(Ok(()), |settings| settings.folder.remove_all())
    }
}
