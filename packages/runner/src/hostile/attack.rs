//! The attacks: what somebody would try who runs native code in a worker.

use super::attempt::{Errno, address, call, exit, text, writable};

/// What an attacker finds around it.
pub struct Scene {
    pub parent: usize,
    /// Another worker of the same function.
    pub sibling: usize,
    pub own_lane: usize,
    pub lanes: usize,
}

/// An attack by its name.
pub struct Attack {
    pub name: &'static str,
    /// Succeeds where the sandbox has not held.
    pub attempt: fn(&Scene) -> Result<(), Errno>,
}

/// Descriptors beyond which a process would have more than its share.
const MANY_DESCRIPTORS: usize = 5_000;
/// Processes of one worker.
const MANY_PROCESSES: usize = 32;
/// More than any limit of memory in the tests allows.
const MUCH_MEMORY: usize = 8 << 30;

const NEW_USER: usize = 0x1000_0000;
const NEW_NET: usize = 0x4000_0000;
const SIGCHLD: usize = 17;
const READ_ONLY: usize = libc::O_RDONLY as usize;
const WRITE_ONLY: usize = libc::O_WRONLY as usize;
const CREATE: usize = (libc::O_WRONLY | libc::O_CREAT) as usize;
const HERE: usize = libc::AT_FDCWD as isize as usize;
const READ_WRITE: usize = (libc::PROT_READ | libc::PROT_WRITE) as usize;
const EXECUTE: usize = (libc::PROT_READ | libc::PROT_EXEC) as usize;
const PRIVATE: usize = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
const NO_FILE: usize = usize::MAX;

macro_rules! attacks {
    ($($(#[$condition:meta])* $name:literal => $attempt:expr,)*) => {
        &[$($(#[$condition])* Attack { name: $name, attempt: $attempt },)*]
    };
}

/// All of them.
pub const ATTACKS: &[Attack] = attacks! {
    // To the network, and to whatever else sockets lead to.
    "socket-inet" => |_| socket(libc::AF_INET),
    "socket-inet6" => |_| socket(libc::AF_INET6),
    "socket-unix" => |_| socket(libc::AF_UNIX),
    "socket-netlink" => |_| socket(libc::AF_NETLINK),
    "socket-vsock" => |_| socket(libc::AF_VSOCK),
    "socket-packet" => |_| socket(libc::AF_PACKET),
    "socketpair" => |_| {
        let mut pair = [0_i32; 2];
        call(libc::SYS_socketpair, [libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0, writable(&mut pair)]).map(drop)
    },
    "connect-metadata" => |_| connect([169, 254, 169, 254], 80),
    "connect-loopback" => |_| connect([127, 0, 0, 1], 80),
    "reconnect-lane" => |scene| connect_by(scene.own_lane, [127, 0, 0, 1], 80),
    "bind" => |scene| call(libc::SYS_bind, [scene.own_lane, address(&[2_u8, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 16]).map(drop),
    "accept" => |scene| call(libc::SYS_accept4, [scene.own_lane, 0, 0, 0]).map(drop),
    "control-socket" => |_| call(libc::SYS_write, [3, address(b"x"), 1]).map(drop),
    "other-lanes" => other_lanes,

    // To other programs and processes.
    "execve" => |_| {
        let arguments = [text(c"/runner"), text(c"--executed"), 0];
        call(libc::SYS_execve, [text(c"/runner"), address(&arguments), 0]).map(drop)
    },
    "execveat" => |_| {
        let arguments = [text(c"/runner"), text(c"--executed"), 0];
        call(libc::SYS_execveat, [HERE, text(c"/runner"), address(&arguments), 0, 0]).map(drop)
    },
    "fork" => |_| clone(0),
    "clone3" => |_| call(libc::SYS_clone3, [address(&[0_u64, 0, 0, 0, 17, 0, 0, 0]), 64]).map(|pid| if pid == 0 { exit(0) }),
    "process-bomb" => |_| (0..MANY_PROCESSES).try_for_each(|_| clone(0)),
    "ptrace-parent" => |scene| call(libc::SYS_ptrace, [libc::PTRACE_SEIZE as usize, scene.parent, 0, 0]).map(drop),
    "ptrace-sibling" => |scene| call(libc::SYS_ptrace, [libc::PTRACE_SEIZE as usize, scene.sibling, 0, 0]).map(drop),
    "read-parent" => |scene| process_memory(libc::SYS_process_vm_readv, scene.parent),
    "read-sibling" => |scene| process_memory(libc::SYS_process_vm_readv, scene.sibling),
    "write-sibling" => |scene| process_memory(libc::SYS_process_vm_writev, scene.sibling),
    "open-memory-of-sibling" => |_| open(c"/proc/self/mem", READ_ONLY),
    "pidfd-sibling" => |scene| call(libc::SYS_pidfd_open, [scene.sibling, 0]).map(drop),
    // Signal 0 only asks whether one could be sent.
    "kill-parent" => |scene| call(libc::SYS_kill, [scene.parent, 0]).map(drop),
    "kill-sibling" => |scene| call(libc::SYS_kill, [scene.sibling, 0]).map(drop),
    "kill-all" => |_| call(libc::SYS_kill, [usize::MAX, 0]).map(drop),
    "tgkill-sibling" => |scene| call(libc::SYS_tgkill, [scene.sibling, scene.sibling, 0]).map(drop),
    "tkill-sibling" => |scene| call(libc::SYS_tkill, [scene.sibling, 0]).map(drop),
    "raise-limit-of-sibling" => |scene| {
        let limit = [1_u64 << 20; 2];
        call(libc::SYS_prlimit64, [scene.sibling, libc::RLIMIT_NOFILE as usize, address(&limit), 0]).map(drop)
    },

    // Out of what holds it.
    "clone-newuser" => |_| clone(NEW_USER),
    "unshare-user" => |_| call(libc::SYS_unshare, [NEW_USER]).map(drop),
    "unshare-net" => |_| call(libc::SYS_unshare, [NEW_NET]).map(drop),
    "setns" => |scene| call(libc::SYS_setns, [scene.own_lane, 0]).map(drop),
    "mount" => |_| call(libc::SYS_mount, [text(c"none"), text(c"/in"), text(c"tmpfs"), 0, 0]).map(drop),
    "umount" => |_| call(libc::SYS_umount2, [text(c"/in"), libc::MNT_DETACH as usize]).map(drop),
    "fsopen" => |_| call(libc::SYS_fsopen, [text(c"tmpfs"), 0]).map(drop),
    "pivot-root" => |_| call(libc::SYS_pivot_root, [text(c"/in"), text(c"/in")]).map(drop),
    "chroot" => |_| call(libc::SYS_chroot, [text(c"/in")]).map(drop),
    "prctl-pdeathsig" => |_| call(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, 0]).map(drop),
    "prctl-dumpable" => |_| call(libc::SYS_prctl, [libc::PR_SET_DUMPABLE as usize, 1]).map(drop),
    "raise-limit" => |_| {
        let limit = [1_u64 << 20; 2];
        call(libc::SYS_prlimit64, [0, libc::RLIMIT_NOFILE as usize, address(&limit), 0]).map(drop)
    },
    "personality" => |_| call(libc::SYS_personality, [0x0004_0000]).map(drop),
    "setuid" => |_| call(libc::SYS_setuid, [0]).map(drop),
    "capset" => |_| call(libc::SYS_capset, [address(&[0x2008_0522_u32, 0]), address(&[u32::MAX; 6])]).map(drop),
    "sethostname" => |_| call(libc::SYS_sethostname, [text(c"taken"), 5]).map(drop),
    "clock-settime" => |_| call(libc::SYS_clock_settime, [0, address(&[0_i64; 2])]).map(drop),
    "init-module" => |_| call(libc::SYS_init_module, [address(b"\x7fELF"), 4, text(c"")]).map(drop),

    // To large and young parts of the kernel.
    "io-uring" => |_| call(libc::SYS_io_uring_setup, [8, writable(&mut [0_u8; 120])]).map(drop),
    "keyctl" => |_| call(libc::SYS_keyctl, [0, (-1_isize) as usize, 1]).map(drop),
    "add-key" => |_| call(libc::SYS_add_key, [text(c"user"), text(c"x"), address(b"x"), 1, (-1_isize) as usize]).map(drop),
    "bpf" => |_| call(libc::SYS_bpf, [0, address(&[1_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0]), 48]).map(drop),
    "userfaultfd" => |_| call(libc::SYS_userfaultfd, [1]).map(drop),
    "memfd" => |_| call(libc::SYS_memfd_create, [text(c"x"), 0]).map(drop),
    "perf-event" => |_| call(libc::SYS_perf_event_open, [address(&[0_u64; 16]), 0, usize::MAX, usize::MAX, 0]).map(drop),
    "shared-memory" => |_| call(libc::SYS_shmget, [0, 4096, 0o1600]).map(drop),
    "message-queue" => |_| call(libc::SYS_mq_open, [text(c"x"), 0o102, 0o600, 0]).map(drop),
    "ioctl-terminal" => |_| call(libc::SYS_ioctl, [0, libc::TIOCSTI as usize, address(b"x")]).map(drop),

    // To files.
    "open-etc-passwd" => |_| open(c"/etc/passwd", READ_ONLY),
    "open-proc" => |_| open(c"/proc/self/status", READ_ONLY),
    "open-sys" => |_| open(c"/sys/kernel", READ_ONLY),
    "open-dev" => |_| open(c"/dev/kmsg", READ_ONLY),
    "list-root" => |_| open(c"/", READ_ONLY),
    "write-root" => |_| open(c"/taken", CREATE),
    "write-in" => |_| open(c"/in/taken", CREATE),
    "write-runner" => |_| open(c"/runner", WRITE_ONLY),
    "make-folder" => |_| call(libc::SYS_mkdirat, [HERE, text(c"/in/taken"), 0o777]).map(drop),
    "remove-component" => |_| call(libc::SYS_unlinkat, [HERE, text(c"/in/component"), 0]).map(drop),

    // What code of its own would need, and more than its share.
    "execute-memory" => |_| {
        let place = call(libc::SYS_mmap, [0, 4096, READ_WRITE, PRIVATE, NO_FILE, 0])?;
        call(libc::SYS_mprotect, [place, 4096, EXECUTE]).map(drop)
    },
    "map-executable" => |_| call(libc::SYS_mmap, [0, 4096, EXECUTE, PRIVATE, NO_FILE, 0]).map(drop),
    "fd-exhaustion" => |scene| {
        (0..MANY_DESCRIPTORS).try_for_each(|_| call(libc::SYS_fcntl, [scene.own_lane, libc::F_DUPFD_CLOEXEC as usize, 0]).map(drop))
    },
    "memory-bomb" => |_| {
        const STEP: usize = 64 << 20;
        (0..MUCH_MEMORY / STEP).try_for_each(|_| call(libc::SYS_mmap, [0, STEP, READ_WRITE, PRIVATE, NO_FILE, 0]).map(drop))
    },
    #[cfg(target_arch = "x86_64")]
    "call-as-32-bit" => |_| super::attempt::call_as_32_bit(),
    #[cfg(target_arch = "x86_64")]
    "call-as-x32" => |_| call(0x4000_0000 | libc::SYS_getpid, []).map(drop),
};

fn socket(family: i32) -> Result<(), Errno> {
    let kind = if matches!(family, libc::AF_NETLINK | libc::AF_PACKET) { libc::SOCK_RAW } else { libc::SOCK_STREAM };
    call(libc::SYS_socket, [family as usize, kind as usize, 0]).map(drop)
}

fn connect(host: [u8; 4], port: u16) -> Result<(), Errno> {
    let socket = call(libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_STREAM as usize, 0])?;
    connect_by(socket, host, port)
}

fn connect_by(socket: usize, host: [u8; 4], port: u16) -> Result<(), Errno> {
    let mut name = [0_u8; 16];
    name[..2].copy_from_slice(&2_u16.to_ne_bytes());
    name[2..4].copy_from_slice(&port.to_be_bytes());
    name[4..8].copy_from_slice(&host);
    call(libc::SYS_connect, [socket, address(&name), name.len()]).map(drop)
}

/// A descriptor of the control socket or of another worker's lane that is still open.
fn other_lanes(scene: &Scene) -> Result<(), Errno> {
    let others = (3..4 + scene.lanes).filter(|fd| *fd != scene.own_lane);
    let is_open = |fd: &usize| call(libc::SYS_fcntl, [*fd, libc::F_GETFD as usize]).is_ok();
    if others.into_iter().any(|fd| is_open(&fd)) { Ok(()) } else { Err(libc::EBADF) }
}

/// Forks, with more flags of `clone`. The child ends at once.
fn clone(flags: usize) -> Result<(), Errno> {
    match call(libc::SYS_clone, [flags | SIGCHLD, 0, 0, 0, 0])? {
        0 => exit(0),
        _ => Ok(()),
    }
}

fn open(path: &'static std::ffi::CStr, flags: usize) -> Result<(), Errno> {
    call(libc::SYS_openat, [HERE, text(path), flags, 0o600]).map(drop)
}

/// Copies a word from or to another process, at an address that both have, as they were forked from one.
fn process_memory(number: libc::c_long, process: usize) -> Result<(), Errno> {
    static WORD: [u8; 8] = *b"untaken\0";
    let mut copy = WORD;
    let local = [writable(&mut copy), copy.len()];
    let remote = [writable(&mut copy), copy.len()];
    call(number, [process, address(&local), 1, address(&remote), 1, 0]).map(drop)
}
