//! Starting a program: what happens between the spawner and bubblewrap's own first instruction.
//!
//! The child borrows the spawner's memory until it executes the program (`CLONE_VM | CLONE_VFORK`), so that no page table is copied. It has a stack of its own, and
//! does nothing but make system calls and write to its plan; no signal handler exists that could run in it.
#![allow(unsafe_code, reason = "clone, execve and what lies between them have no safe form")]

use crate::signals;
use rustix::process::Pid;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

/// Plenty for some system calls.
const STACK_BYTES: usize = 64 * 1024;

/// When memory runs out the kernel ends sandboxes before anything else (proc_pid_oom_score_adj(5)). To raise it needs no privilege.
const FIRST_TO_GO: &[u8] = b"1000";

/// What is to be started.
pub struct Program<'a> {
    pub path: &'a CStr,
    pub arguments: &'a [CString],
    /// Becomes standard error.
    pub stderr: BorrowedFd<'a>,
    /// Become the descriptors 3, 4, …; nothing else is open in it but `/dev/null` as standard input and output.
    pub descriptors: &'a [BorrowedFd<'a>],
    /// The user and group that it runs as; `None` leaves them as they are.
    pub uid: Option<u32>,
    /// The list of members of the control group that it runs in.
    pub group_members: Option<&'a CStr>,
}

/// Starts programs.
pub struct Launcher {
    stack: Vec<u128>,
    null: OwnedFd,
}

/// What the child did last.
#[derive(Clone, Copy)]
enum Step {
    Descriptors,
    Directory,
    User,
    Signals,
    Execute,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Descriptors => "its file descriptors",
            Self::Directory => "its working directory",
            Self::User => "its user id",
            Self::Signals => "its signals",
            Self::Execute => "the program",
        }
    }
}

/// All that the child needs, made ready before it exists.
struct Plan {
    path: *const libc::c_char,
    arguments: Vec<*const libc::c_char>,
    environment: [*const libc::c_char; 1],
    /// What becomes 0, 1, 2, ….
    descriptors: Vec<RawFd>,
    uid: Option<u32>,
    group_members: Option<*const libc::c_char>,
    /// Set by the child where it fails.
    failure: Option<(Step, i32)>,
}

impl Launcher {
    /// # Errors
    /// `/dev/null` cannot be opened.
    pub fn new() -> io::Result<Self> {
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        Ok(Self { stack: vec![0; STACK_BYTES / size_of::<u128>()], null: null.into() })
    }

    /// Starts a program in `/`, with an empty environment. It runs when this returns.
    ///
    /// # Errors
    /// What failed, and why. There is a child then as well, which has ended and must be waited for; but not where the kernel would not make one.
    pub fn start(&mut self, program: &Program<'_>) -> io::Result<Pid> {
        let mut arguments: Vec<_> = program.arguments.iter().map(|argument| argument.as_ptr()).collect();
        arguments.insert(0, program.path.as_ptr());
        arguments.push(ptr::null());
        let null = self.null.as_raw_fd();
        let mut descriptors = vec![null, null, program.stderr.as_raw_fd()];
        descriptors.extend(program.descriptors.iter().map(AsRawFd::as_raw_fd));
        let mut plan = Plan {
            path: program.path.as_ptr(),
            arguments,
            environment: [ptr::null()],
            descriptors,
            uid: program.uid,
            group_members: program.group_members.map(CStr::as_ptr),
            failure: None,
        };
        // SAFETY: the end of the stack is within its allocation, is aligned to 16 bytes, and the child alone uses it. This thread, the only one, is suspended
        // until the child has executed the program or ended, so plan and stack outlive the child's use of them.
        let pid = unsafe {
            libc::clone(
                run_child,
                self.stack.as_mut_ptr().add(self.stack.len()).cast(),
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                (&raw mut plan).cast(),
            )
        };
        let Some(pid) = Pid::from_raw(pid).filter(|pid| pid.as_raw_pid() > 0) else {
            return Err(io::Error::last_os_error());
        };
        // SAFETY: the plan is plain data of this function. Read as volatile because the compiler does not know that the child writes to it.
        match unsafe { ptr::read_volatile(&raw const plan.failure) } {
            None => Ok(pid),
            Some((step, errno)) => {
                let error = io::Error::from_raw_os_error(errno);
                Err(io::Error::new(error.kind(), format!("{}: {error}", step.name())))
            }
        }
    }
}

extern "C" fn run_child(plan: *mut libc::c_void) -> libc::c_int {
    // SAFETY: it is the plan of `start`, which waits.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    // There is no way back from here but failure.
    plan.failure = Some(carry_out(plan));
    // SAFETY: ends this process alone, and runs nothing of the spawner's.
    unsafe { libc::_exit(127) }
}

/// Runs in the child, in the spawner's memory: it must not allocate, panic, or drop what is not its own.
fn carry_out(plan: &mut Plan) -> (Step, i32) {
    // Ahead of everything that it could fork, which inherits both.
    write_to(c"/proc/self/oom_score_adj", FIRST_TO_GO);
    if let Some(members) = plan.group_members {
        // SAFETY: a string of the caller of `start`, who waits.
        write_to(unsafe { CStr::from_ptr(members) }, b"0");
    }
    if let Err(error) = place(&mut plan.descriptors) {
        return (Step::Descriptors, errno(&error));
    }
    // SAFETY: a constant string.
    if unsafe { libc::chdir(c"/".as_ptr()) } != 0 {
        return (Step::Directory, errno(&io::Error::last_os_error()));
    }
    if let Some(uid) = plan.uid
        && let Err(error) = become_user(uid)
    {
        return (Step::User, errno(&error));
    }
    // A Ctrl-C in the terminal reaches the dispatcher's whole group, and would end the sandboxes of requests that it lets finish.
    // SAFETY: a system call on integers.
    if unsafe { libc::setpgid(0, 0) } != 0 {
        return (Step::Signals, errno(&io::Error::last_os_error()));
    }
    if let Err(error) = signals::unblock_all() {
        return (Step::Signals, errno(&error));
    }
    // SAFETY: strings of the caller of `start`, in lists that end with null.
    unsafe { libc::execve(plan.path, plan.arguments.as_ptr(), plan.environment.as_ptr()) };
    (Step::Execute, errno(&io::Error::last_os_error()))
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// Failing is no reason not to start: without the one the kernel chooses by size, and without the other further layers hold.
fn write_to(path: &CStr, bytes: &[u8]) {
    // SAFETY: a string that ends, and bytes that live as long as the call; the descriptor is this function's own.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd >= 0 {
            libc::write(fd, bytes.as_ptr().cast(), bytes.len());
            libc::close(fd);
        }
    }
}

/// Gives descriptors the numbers 0, 1, 2, …. All others are closed by the execution.
fn place(descriptors: &mut [RawFd]) -> io::Result<()> {
    let first_free = RawFd::try_from(descriptors.len()).map_err(|_| io::Error::from_raw_os_error(libc::EMFILE))?;
    for source in descriptors.iter_mut().filter(|source| **source < first_free) {
        // Out of the way first: its number is wanted for another one.
        // SAFETY: a system call on integers, as below.
        *source = unsafe { libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, first_free) };
        if *source == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    for (target, source) in (0..).zip(descriptors.iter()) {
        // SAFETY: as above. The child has a table of descriptors of its own.
        if unsafe { libc::dup2(*source, target) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The system calls themselves: the C library's functions would see to the other threads of the process, whose memory this is.
fn become_user(id: u32) -> io::Result<()> {
    // SAFETY: system calls on integers and a null pointer to no groups.
    let failed = unsafe {
        libc::syscall(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>()) != 0
            || libc::syscall(libc::SYS_setresgid, id, id, id) != 0
            || libc::syscall(libc::SYS_setresuid, id, id, id) != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}
