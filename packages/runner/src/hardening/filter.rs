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

// linux/bpf_common.h
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;
/// What every program begins with: the processor is compared, and the number loaded.
const BEGINNING: usize = 4;
/// So few numbers are compared one after the other.
const COMPARED_ONE_BY_ONE: usize = 4;

/// A call that is allowed: under all circumstances, or under conditions.
#[derive(Clone, Copy)]
struct Listed {
    number: u32,
    always: bool,
}

fn instruction(code: u16, jt: usize, k: u32) -> Result<sock_filter, BackendError> {
    let jt = u8::try_from(jt).map_err(|_| BackendError::FilterTooLarge(jt))?;
    Ok(sock_filter { code, jt, jf: 0, k })
}

/// Looks a number up among `calls`, which are sorted; it is the end of who made one that is not among them. Behind these instructions come `following`
/// others of the search, then one that allows, then the conditions.
fn search(calls: &[Listed], following: usize) -> Result<BpfProgram, BackendError> {
    if calls.len() > COMPARED_ONE_BY_ONE {
        let (below, above) = calls.split_at(calls.len() / 2);
        let above = search(above, following)?;
        let below = search(below, following + above.len())?;
        let mut program = vec![instruction(JUMP_GREATER_OR_EQUAL, below.len(), calls[calls.len() / 2].number)?];
        program.extend(below);
        program.extend(above);
        return Ok(program);
    }
    let mut program = Vec::with_capacity(calls.len() + 1);
    for (index, call) in calls.iter().enumerate() {
        let to_allow = calls.len() - index + following;
        program.push(instruction(JUMP_EQUAL, to_allow + usize::from(!call.always), call.number)?);
    }
    program.push(instruction(RETURN, 0, SeccompAction::KillProcess.into())?);
    Ok(program)
}

/// Puts a search before the conditions of those calls that have any. Without it, a call is compared with one after the other, at three instructions
/// each; and not only when it is made: as a filter is installed, the kernel runs it for every number there is, to know what is always allowed
/// (`seccomp_cache_prepare` in kernel/seccomp.c), and it translates all of it, at 0.2 µs an instruction, which a worker pays at every fork.
fn with_search(calls: &[Listed], conditional: &BpfProgram) -> Result<BpfProgram, BackendError> {
    let mut program = conditional[..BEGINNING].to_vec();
    program.extend(search(calls, 0)?);
    program.push(instruction(RETURN, 0, SeccompAction::Allow.into())?);
    program.extend_from_slice(&conditional[BEGINNING..]);
    Ok(program)
}

impl Filter {
    /// Allows what is listed; everything else kills the process.
    ///
    /// # Errors
    /// The list is empty or names an argument that no system call has.
    pub fn compile(allowed: &[Allowed], arch: TargetArch) -> Result<Self, BackendError> {
        let mut calls = Vec::new();
        let mut rules = BTreeMap::new();
        for Allowed { call, when } in allowed {
            let Some(number) = call.number(arch) else { continue };
            calls.push(Listed { number, always: when.is_empty() });
            if !when.is_empty() {
                let when: Result<Vec<_>, _> = when.iter().map(|conditions| rule(conditions)).collect();
                rules.insert(number.into(), when?);
            }
        }
        calls.sort_unstable_by_key(|call| call.number);
        let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?;
        let program = with_search(&calls, &filter.try_into()?)?;
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
