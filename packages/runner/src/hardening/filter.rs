//! From an allowlist to the program that the kernel runs on every system call.

use super::allowlist::{Allowed, Condition};
use super::kernel;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};
use std::collections::BTreeMap;
use std::io;

/// Stands for the number of a process until it is known; no process has so large a number (Linux ends at 2²²).
const PID_PLACEHOLDER: u32 = 0x5eed_50d1;

/// The number of this process.
#[derive(Clone, Copy, Debug)]
pub struct OwnPid(u32);

impl OwnPid {
    /// Asks the kernel.
    pub fn current() -> Self {
        Self(std::process::id())
    }
}

/// A compiled filter.
#[derive(Clone, Debug)]
pub struct Filter {
    program: BpfProgram,
    /// Where the number of the process belongs.
    pid_at: Vec<usize>,
}

fn condition(condition: Condition) -> Result<Vec<SeccompCondition>, BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, Ge, Le, MaskedEq};
    let new = SeccompCondition::new;
    Ok(match condition {
        Condition::Is(argument, value) => vec![new(argument, Dword, Eq, value.into())?],
        Condition::Null(argument) => vec![new(argument, Qword, Eq, 0)?],
        Condition::Without(argument, bits) => vec![new(argument, Dword, MaskedEq(bits.into()), 0)?],
        Condition::Within(argument, first, last) => {
            vec![new(argument, Dword, Ge, first.into())?, new(argument, Dword, Le, last.into())?]
        }
        Condition::IsOwnPid(argument) => vec![new(argument, Dword, Eq, PID_PLACEHOLDER.into())?],
    })
}

fn rule(conditions: &[Condition]) -> Result<SeccompRule, BackendError> {
    let mut all = Vec::new();
    for one in conditions {
        all.extend(condition(*one)?);
    }
    SeccompRule::new(all)
}

/// Puts the calls that are allowed under all circumstances before the others, at one instruction each in place of five: the kernel
/// translates the program of a worker at every fork, which costs 0.2 µs an instruction.
fn with_shortcut(always: &[i64], conditional: BpfProgram) -> BpfProgram {
    // linux/bpf_common.h
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP: u16 = 0x05;
    const RETURN: u16 = 0x06;
    /// What every program begins with: the processor is compared, and the number loaded.
    const BEGINNING: usize = 4;
    let instruction = |code, jt, k| sock_filter { code, jt, jf: 0, k };
    let mut program = conditional[..BEGINNING].to_vec();
    for (index, number) in always.iter().enumerate() {
        // Over those that follow, and over the jump to the conditions. There are far fewer than 255.
        let distance = u8::try_from(always.len() - index).unwrap_or(u8::MAX);
        program.push(instruction(JUMP_EQUAL, distance, u32::try_from(*number).unwrap_or(u32::MAX)));
    }
    program.push(instruction(JUMP, 0, 1));
    program.push(instruction(RETURN, 0, SeccompAction::Allow.into()));
    program.extend_from_slice(&conditional[BEGINNING..]);
    program
}

impl Filter {
    /// Allows what is listed; everything else kills the process.
    ///
    /// # Errors
    /// The list is empty or names an argument that no system call has.
    pub fn compile(allowed: &[Allowed], arch: TargetArch) -> Result<Self, BackendError> {
        let mut always = Vec::new();
        let mut rules = BTreeMap::new();
        for Allowed { call, when } in allowed {
            let Some(number) = call.number(arch) else { continue };
            if when.is_empty() {
                always.push(number);
            } else {
                let when: Result<Vec<_>, _> = when.iter().map(|conditions| rule(conditions)).collect();
                rules.insert(number, when?);
            }
        }
        let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?;
        let program = with_shortcut(&always, filter.try_into()?);
        let pid_at = (0..program.len()).filter(|at| program[*at].k == PID_PLACEHOLDER).collect();
        Ok(Self { program, pid_at })
    }

    /// The program for a process.
    pub fn program(&self, pid: OwnPid) -> BpfProgram {
        let mut program = self.program.clone();
        for at in &self.pid_at {
            program[*at].k = pid.0;
        }
        program
    }

    /// Puts this process, and what it will fork, behind the filter. There is no way back.
    ///
    /// # Errors
    /// What `seccomp` says.
    pub fn install(&self, pid: OwnPid) -> io::Result<()> {
        kernel::install_filter(&self.program(pid))
    }
}
