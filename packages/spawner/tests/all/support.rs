//! A running spawner, and what can be seen of it from outside.
#![allow(
    unsafe_code,
    reason = "the socket must have a fixed number in the child, which only a step before exec can do"
)]

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Whatever takes longer has gone wrong.
const LIMIT: Duration = Duration::from_secs(30);
/// The user of the sandboxes where the tests run as root.
const SANDBOX_USER: u32 = 154_321;
/// One instruction: everything is allowed.
const ALLOW_ALL: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f];

pub const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A connection that the spawner has made: sandbox, index, and the socket.
pub type Connection = (u32, u32, UnixStream);

pub struct Spawner {
    pub child: Child,
    /// The dispatcher's end; `None` when it was closed.
    socket: Option<UnixStream>,
    events: BufReader<UnixStream>,
    pub connections: Receiver<Connection>,
    root: PathBuf,
    socket_name: String,
}

impl Spawner {
    /// Starts one that is not configured.
    pub fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("playa-spawner-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(&name);
        fs::create_dir_all(root.join("run/1")).expect("a folder");
        for passable in [root.clone(), root.join("run"), root.join("run/1")] {
            fs::set_permissions(passable, fs::Permissions::from_mode(0o711)).expect("its own folder");
        }
        fs::write(root.join("filter"), ALLOW_ALL).expect("a file");
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let listener = UnixListener::bind_addr(&address).expect("nobody else has the name");
        let (sender, connections) = channel();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.expect("a connection");
                let mut head = [0; 40];
                socket.read_exact(&mut head).expect("the head");
                let token: String = head[..32].iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(token, TOKEN);
                let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
                if sender.send((number(32), number(36), socket)).is_err() {
                    return;
                }
            }
        });
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let their_number = theirs.as_raw_fd();
        let mut command = Command::new(env!("CARGO_BIN_EXE_playa-spawner"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).env_clear();
        // SAFETY: only dup2 and fcntl are called between fork and exec, which are allowed there.
        unsafe {
            command.pre_exec(move || {
                // A stray file as well, as a careless parent leaves one.
                libc::dup2(0, their_number + 30);
                // Onto itself it would stay closed on exec.
                let result =
                    if their_number == 3 { libc::fcntl(3, libc::F_SETFD, 0) } else { libc::dup2(their_number, 3) };
                if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
            });
        }
        let child = command.spawn().expect("the spawner starts");
        ours.set_read_timeout(Some(LIMIT)).expect("a socket");
        let events = BufReader::new(ours.try_clone().expect("a socket"));
        Self { child, socket: Some(ours), events, connections, root, socket_name: name }
    }

    /// Starts one that uses `bubblewrap`.
    pub fn configured(bubblewrap: &str) -> Self {
        let mut spawner = Self::start();
        let configure = spawner.configuration(bubblewrap);
        spawner.say(&configure);
        let event = spawner.event();
        assert_eq!(event["type"], "controlGroups");
        assert!(event["state"]["detail"].is_string());
        spawner
    }

    pub fn configuration(&self, bubblewrap: &str) -> Value {
        json!({
            "type": "configure",
            "socketName": self.socket_name,
            "token": TOKEN,
            "runDirectory": self.run_folder(),
            "bubblewrap": bubblewrap,
            "seccompFilter": self.root.join("filter"),
        })
    }

    /// Starts one with the system's bubblewrap.
    pub fn real() -> Self {
        Self::configured(&bubblewrap())
    }

    pub fn run_folder(&self) -> PathBuf {
        self.root.join("run/1")
    }

    /// Writes a program to the test's own folder and returns its path.
    pub fn program(&self, name: &str, text: &str) -> String {
        let path = self.root.join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its own file");
        path.to_str().expect("text").to_owned()
    }

    pub fn say(&mut self, request: &Value) {
        self.say_bytes(format!("{request}\n").as_bytes());
    }

    pub fn say_bytes(&mut self, bytes: &[u8]) {
        self.socket.as_mut().expect("open").write_all(bytes).expect("the spawner reads");
    }

    /// Asks for a sandbox in which a shell runs `script`, whose first argument is the run folder: it can be found by that.
    pub fn start_sandbox(&mut self, id: u32, lanes: u32, script: &str) {
        let info = (4 + lanes).to_string();
        let filter = (5 + lanes).to_string();
        let mut arguments: Vec<String> = ["--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session"]
            .into_iter()
            .chain(["--clearenv", "--ro-bind", "/", "/", "--info-fd", &info, "--seccomp", &filter])
            .chain(["/bin/sh", "-c", script, "sh"])
            .map(str::to_owned)
            .collect();
        arguments.push(self.run_folder().to_str().expect("text").to_owned());
        let mut start = json!({ "type": "start", "id": id, "lanes": lanes, "arguments": arguments });
        if is_root() {
            start["uid"] = SANDBOX_USER.into();
        }
        self.say(&start);
    }

    pub fn kill(&mut self, id: u32) {
        self.say(&json!({ "type": "kill", "id": id }));
    }

    /// What it says next.
    pub fn event(&mut self) -> Value {
        let mut line = String::new();
        self.events.read_line(&mut line).expect("an event in time");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?} is no event: {error}"))
    }

    /// Waits for the end of one sandbox.
    pub fn exited(&mut self, id: u32) -> Value {
        let event = self.event();
        assert_eq!((&event["type"], &event["id"]), (&json!("exited"), &json!(id)), "{event}");
        assert!(!self.run_folder().join(id.to_string()).exists(), "its folder is there");
        event
    }

    /// Closes the dispatcher's end.
    pub fn close(&mut self) {
        let socket = self.socket.take().expect("open");
        socket.shutdown(std::net::Shutdown::Both).expect("a socket");
    }

    /// Waits until it has ended; what it wrote to standard error comes with it.
    pub fn ended(&mut self) -> (ExitStatus, String) {
        let mut text = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
        (self.child.wait().expect("a child"), text)
    }

    /// The processes that have to do with its sandboxes.
    pub fn processes(&self) -> Vec<i32> {
        let folder = self.run_folder().to_str().expect("text").to_owned();
        numbers_in("/proc").filter(|pid| proc_file(*pid, "cmdline").contains(&folder)).collect()
    }

    /// Waits until there are processes that fulfil the condition.
    pub fn until(&self, what: &str, condition: impl Fn(&[i32]) -> bool) -> Vec<i32> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let processes = self.processes();
            if condition(&processes) {
                return processes;
            }
            assert!(Instant::now() < deadline, "{what}: {processes:?}");
            std::thread::yield_now();
        }
    }

    /// Asserts that nothing of it is left but the server's folder around.
    pub fn expect_nothing_left(&self) {
        assert_eq!(self.processes(), [] as [i32; 0]);
        assert!(!self.run_folder().exists());
    }

    fn children(&self) -> String {
        let pid = self.child.id();
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it runs")
    }

    /// Waits until it has no child, not even one that has ended and was not waited for: orphans are not told of.
    pub fn expect_no_child(&self) {
        let deadline = Instant::now() + LIMIT;
        while !self.children().is_empty() {
            assert!(Instant::now() < deadline, "children left: {}", self.children());
            std::thread::yield_now();
        }
    }

    pub fn open_descriptors(&self) -> Vec<String> {
        let folder = format!("/proc/{}/fd", self.child.id());
        let target = |fd| fs::read_link(format!("{folder}/{fd}")).map(|path| path.display().to_string());
        numbers_in(&folder).map(|fd| format!("{fd} {}", target(fd).unwrap_or_default())).collect()
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        // A test that failed half way must not leave it behind; one that came to its end has waited for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.root);
    }
}

pub fn is_root() -> bool {
    proc_file("self", "status").lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// The system's bubblewrap.
pub fn bubblewrap() -> String {
    let path = std::env::var("PATH").expect("a search path");
    let found = path.split(':').map(|folder| format!("{folder}/bwrap")).find(|file| fs::metadata(file).is_ok());
    found.expect("bubblewrap is installed")
}

/// A file of a process; empty where it has ended.
pub fn proc_file(pid: impl std::fmt::Display, name: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn numbers_in(folder: &str) -> impl Iterator<Item = i32> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
