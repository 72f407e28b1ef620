//! The system calls that a name server has no use for, and somebody who took it over has.
//!
//! A list of what is forbidden and not of what is allowed: what a C library, a kernel or a runtime begins to use
//! in its next version must not end a name server. What is forbidden fails with EPERM, as if a right were
//! missing, and ends nothing either.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

/// Forbidden whatever the arguments.
const FORBIDDEN: [c_long; 46] = [
    // Other programs, and other processes' memory.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // The file system's layout.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Namespaces: the way to a kernel's less used parts without privileges.
    libc::SYS_setns,
    libc::SYS_unshare,
    // Parts of the kernel in which holes were found again and again, and which nothing here uses.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // The machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_personality,
];

/// `CLONE_NEW*` of a namespace of any kind (`linux/sched.h`).
const NEW_NAMESPACE: u64 = 0x7e02_0000;

/// Forbids them to this thread and all that it starts; how many they are.
pub(super) fn forbid() -> Result<usize, Box<dyn std::error::Error>> {
    let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.into_iter().map(|call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(other_families()?)?]);
    rules.insert(libc::SYS_clone, new_namespaces()?);
    let count = rules.len();
    let forbidden = u32::try_from(libc::EPERM)?;
    install(rules, forbidden, architecture)?;
    // Its flags are in memory, where no filter sees them. Without it the C library takes `clone`.
    let unseen = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    install(unseen, u32::try_from(libc::ENOSYS)?, architecture)?;
    Ok(count + 1)
}

fn install(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    error: u32,
    architecture: TargetArch,
) -> Result<(), Box<dyn std::error::Error>> {
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error), architecture)?;
    let program: seccompiler::BpfProgram = filter.try_into()?;
    Ok(apply_filter(&program)?)
}

/// Sockets of all families but those of the internet, of this machine, and what the C library asks for
/// the machine's addresses: packets, cryptography and others are ways into the kernel.
fn other_families() -> Result<Vec<SeccompCondition>, seccompiler::BackendError> {
    let used = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let is_not = |family: i32| {
        let family = u64::from(family.unsigned_abs());
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)
    };
    used.into_iter().map(is_not).collect()
}

/// `clone` with any flag that makes a namespace.
fn new_namespaces() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let flags = (0..64).map(|bit| 1_u64 << bit).filter(|flag| NEW_NAMESPACE & flag != 0);
    let rule = |flag| {
        let compared = SeccompCmpOp::MaskedEq(flag);
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, compared, flag)?;
        SeccompRule::new(vec![condition])
    };
    flags.map(rule).collect()
}
