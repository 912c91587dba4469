//! What an attack is made of: system calls, as they are.
#![allow(unsafe_code, reason = "an attack asks the kernel what no library of ours would ask it")]

/// Why an attack came to nothing: the number that the kernel gave.
pub type Errno = i32;

/// Makes a system call.
pub fn call<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> Result<usize, Errno> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    // SAFETY: none of the attacks passes an address that the kernel could write beyond; and what becomes of this process is
    // the kernel's business: it ends after the attack.
    let result = unsafe { libc::syscall(number, all[0], all[1], all[2], all[3], all[4], all[5]) };
    usize::try_from(result).map_err(|_| std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// Asks for this process's number by the system calls of 32-bit programs.
#[cfg(target_arch = "x86_64")]
pub fn call_as_32_bit() -> Result<(), Errno> {
    let result: i64;
    // SAFETY: number 20 is getpid there, which takes and changes nothing.
    unsafe { std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => result) };
    if result > 0 { Ok(()) } else { Err(libc::ENOSYS) }
}

/// A C string's address.
pub fn text(text: &'static std::ffi::CStr) -> usize {
    text.as_ptr() as usize
}

/// The address of anything that lives as long as the attack.
pub fn address<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<u8>() as usize
}

/// An address to write to.
pub fn writable<T: ?Sized>(value: &mut T) -> usize {
    std::ptr::from_mut(value).cast::<u8>() as usize
}

/// Ends this process at once.
pub fn exit(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}
