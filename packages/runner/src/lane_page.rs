//! What workers tell the supervisor without a system call: one page per lane that both can write.
#![allow(unsafe_code, reason = "a shared anonymous mapping has no safe form")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The part of a lane's page that is used. All zero is a worker without an invocation.
#[repr(C)]
pub struct LanePage {
    /// Monotonic milliseconds at which the oldest invocation must have ended; 0 when there is none.
    deadline_ms: AtomicU64,
    /// The worker has seen the end of its lane, so that a successor would have nothing to do.
    lane_closed: AtomicBool,
}

impl LanePage {
    /// Publishes the deadline of the oldest invocation; 0 for none.
    pub fn set_deadline_ms(&self, deadline_ms: u64) {
        self.deadline_ms.store(deadline_ms, Ordering::Relaxed);
    }

    /// The deadline that the worker has published; 0 for none.
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms.load(Ordering::Relaxed)
    }

    /// Notes that the dispatcher has closed the lane.
    pub fn set_lane_closed(&self) {
        self.lane_closed.store(true, Ordering::Relaxed);
    }

    /// Whether the worker found its lane closed.
    pub fn is_lane_closed(&self) -> bool {
        self.lane_closed.load(Ordering::Relaxed)
    }

    /// Forgets what the worker before has written.
    pub fn reset(&self) {
        self.deadline_ms.store(0, Ordering::Relaxed);
        self.lane_closed.store(false, Ordering::Relaxed);
    }
}

/// The pages of all lanes. A page is the unit a worker can be kept from: it unmaps those of the other lanes.
pub struct LanePages {
    base: *mut u8,
    page_bytes: usize,
    count: usize,
}

impl LanePages {
    /// Maps one page for each lane.
    ///
    /// # Errors
    /// What `mmap` says.
    pub fn map(count: usize) -> io::Result<Self> {
        // SAFETY: a call on integers.
        let page_bytes = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(io::Error::other)?;
        // SAFETY: a new anonymous mapping, at a place the kernel chooses.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                count * page_bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { base: base.cast(), page_bytes, count })
    }

    /// How many lanes there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The page of one lane.
    pub fn page(&self, lane: usize) -> &LanePage {
        assert!(lane < self.count);
        // SAFETY: within the mapping, aligned to a page, zeroed by the kernel and from then on only accessed through
        // atomics. It is never unmapped but in `keep_only`, which ends the use of this value.
        unsafe { &*self.base.add(lane * self.page_bytes).cast::<LanePage>() }
    }

    /// In a worker: unmaps the pages of the other lanes, so that it cannot touch what its siblings publish.
    pub fn keep_only(&self, lane: usize) -> &LanePage {
        let page = self.page(lane);
        let after = self.count - lane - 1;
        // SAFETY: both ranges are whole pages of this mapping, without the page of `lane`; this process makes no other
        // reference into them, as the supervisor's code does not run in it.
        unsafe {
            if lane > 0 {
                libc::munmap(self.base.cast(), lane * self.page_bytes);
            }
            if after > 0 {
                libc::munmap(self.base.add((lane + 1) * self.page_bytes).cast(), after * self.page_bytes);
            }
        }
        page
    }
}
