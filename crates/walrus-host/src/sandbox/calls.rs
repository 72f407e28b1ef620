//! The system calls that a name server has no use for, and somebody who took it over has.
//!
//! A list of what is forbidden and not of what is allowed: what a C library, a kernel or a runtime begins to use
//! in its next version must not end a name server. What is forbidden fails with EPERM, as if a right were
//! missing, and ends nothing either.

use std::collections::BTreeMap;

use libc::c_long;
#[cfg(target_arch = "x86_64")]
use seccompiler::sock_filter;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Forbidden whatever the arguments.
const FORBIDDEN: [c_long; 49] = [
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
    // A file by its number, past all directories above it.
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Namespaces: the way to a kernel's less used parts without privileges.
    libc::SYS_setns,
    libc::SYS_unshare,
    // Parts of the kernel in which holes were found again and again, and which nothing here uses.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_fanotify_init,
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
    KEXEC_FILE_LOAD,
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

/// By number, since `libc` has it for few of its targets: of musl for aarch64 and of riscv64 at all it has none
/// (`arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h`).
const KEXEC_FILE_LOAD: c_long = if cfg!(target_arch = "x86_64") { 320 } else { 294 };

/// `CLONE_NEW*` of a namespace of any kind (`linux/sched.h`).
const NEW_NAMESPACE: u64 = 0x7e02_0000;

/// Set in the number of every call of x32, a second set of the same calls that some kernels for `x86_64` have.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;
/// Numbers that only x32 has (`arch/x86/entry/syscalls/syscall_64.tbl`); old kernels take them without its bit.
#[cfg(target_arch = "x86_64")]
const X32_ONLY: std::ops::RangeInclusive<u32> = 512..=547;

/// Forbids them to this thread and all that it starts; how many they are.
pub(super) fn forbid() -> Result<usize, Box<dyn std::error::Error>> {
    let (count, programs) = programs()?;
    programs.iter().try_for_each(|program| apply_filter(program))?;
    Ok(count)
}

/// How many calls are forbidden, and the filters that all must let a call pass.
fn programs() -> Result<(usize, Vec<BpfProgram>), Box<dyn std::error::Error>> {
    let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.into_iter().map(|call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, unused_sockets()?);
    rules.insert(libc::SYS_clone, new_namespaces()?);
    let count = rules.len();
    let forbidden = u32::try_from(libc::EPERM)?;
    let mut programs = vec![program(rules, forbidden, architecture)?];
    #[cfg(target_arch = "x86_64")]
    programs.push(no_x32(forbidden));
    // Its flags are in memory, where no filter sees them. Without it the C library takes `clone`.
    let unseen = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    programs.push(program(unseen, u32::try_from(libc::ENOSYS)?, architecture)?);
    Ok((count + 1, programs))
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    error: u32,
    architecture: TargetArch,
) -> Result<BpfProgram, Box<dyn std::error::Error>> {
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error), architecture)?;
    Ok(filter.try_into()?)
}

/// Forbids all calls of x32: it has its own numbers for each, under the same architecture, so a list of numbers
/// alone leaves a second door open.
#[cfg(target_arch = "x86_64")]
fn no_x32(error: u32) -> BpfProgram {
    // Two bytes each, of which the kernel's header says so; all fit.
    let code = |parts: [u32; 3]| (parts[0] | parts[1] | parts[2]) as u16;
    let jump =
        |kind, k, jt, jf| sock_filter { code: code([libc::BPF_JMP, kind, libc::BPF_K]), jt, jf, k };
    let end = |k| sock_filter { code: code([libc::BPF_RET, libc::BPF_K, 0]), jt: 0, jf: 0, k };
    vec![
        // The number of the call, with which what is looked at begins.
        sock_filter { code: code([libc::BPF_LD, libc::BPF_W, libc::BPF_ABS]), jt: 0, jf: 0, k: 0 },
        jump(libc::BPF_JGE, X32, 2, 0),
        jump(libc::BPF_JGT, *X32_ONLY.end(), 2, 0),
        jump(libc::BPF_JGE, *X32_ONLY.start(), 0, 1),
        end(libc::SECCOMP_RET_ERRNO | error),
        end(libc::SECCOMP_RET_ALLOW),
    ]
}

/// All sockets but those of TCP, UDP, of this machine, and what the C library asks for the machine's
/// addresses: packets, cryptography and others are ways into the kernel, and TCP over many paths is a way
/// around the ports that Landlock knows of.
fn unused_sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    const FAMILY: u8 = 0;
    const PROTOCOL: u8 = 2;
    let compared = |argument, how, value: i32| {
        let value = u64::from(value.unsigned_abs());
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, value)
    };
    let is_not = |argument, values: &[i32]| -> Result<Vec<_>, _> {
        values.iter().map(|value| compared(argument, SeccompCmpOp::Ne, *value)).collect()
    };
    let used = [
        (libc::AF_UNIX, &[0][..]),
        (libc::AF_INET, &[0, libc::IPPROTO_TCP, libc::IPPROTO_UDP]),
        (libc::AF_INET6, &[0, libc::IPPROTO_TCP, libc::IPPROTO_UDP]),
        (libc::AF_NETLINK, &[libc::NETLINK_ROUTE]),
    ];
    let mut rules = vec![SeccompRule::new(is_not(FAMILY, &used.map(|(family, _)| family))?)?];
    for (family, protocols) in used {
        let mut conditions = is_not(PROTOCOL, protocols)?;
        conditions.push(compared(FAMILY, SeccompCmpOp::Eq, family)?);
        rules.push(SeccompRule::new(conditions)?);
    }
    Ok(rules)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kernel would say to a call, of any architecture's numbers: whether it passes all filters.
    fn passes(programs: &[BpfProgram], call: u64, arguments: [u64; 3]) -> bool {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => 0xc000_003e_u64,
            "aarch64" => 0xc000_00b7,
            other => panic!("which number has {other}?"),
        };
        // `struct seccomp_data`, little-endian.
        let mut data = Vec::new();
        for word in [call | architecture << 32, 0].into_iter().chain(arguments).chain([0; 3]) {
            data.extend_from_slice(&word.to_le_bytes());
        }
        programs.iter().all(|program| run(program, &data) == libc::SECCOMP_RET_ALLOW)
    }

    fn run(program: &BpfProgram, data: &[u8]) -> u32 {
        let (mut at, mut held) = (0, 0_u32);
        loop {
            let it = &program[at];
            at += 1;
            let jump = |is: bool| usize::from(if is { it.jt } else { it.jf });
            match it.code {
                0x20 => {
                    let from = it.k as usize;
                    held = u32::from_le_bytes(data[from..from + 4].try_into().unwrap());
                }
                0x54 => held &= it.k,
                0x05 => at += it.k as usize,
                0x15 => at += jump(held == it.k),
                0x25 => at += jump(held > it.k),
                0x35 => at += jump(held >= it.k),
                0x06 => return it.k,
                other => panic!("code {other:#x}"),
            }
        }
    }

    #[test]
    fn sockets_are_those_that_a_name_server_uses() {
        let (_, programs) = programs().unwrap();
        let (tcp, udp) = (libc::IPPROTO_TCP, libc::IPPROTO_UDP);
        for (family, protocol, may) in [
            (libc::AF_INET, 0, true),
            (libc::AF_INET, tcp, true),
            (libc::AF_INET6, tcp, true),
            (libc::AF_INET6, udp, true),
            (libc::AF_UNIX, 0, true),
            (libc::AF_NETLINK, libc::NETLINK_ROUTE, true),
            (libc::AF_NETLINK, libc::NETLINK_NETFILTER, false),
            (libc::AF_NETLINK, libc::NETLINK_KOBJECT_UEVENT, false),
            // TCP over many paths falls back to TCP, and Landlock's ports do not hold for it.
            (libc::AF_INET, 262, false),
            (libc::AF_INET6, 262, false),
            (libc::AF_INET, libc::IPPROTO_RAW, false),
            (libc::AF_INET, libc::IPPROTO_SCTP, false),
            (libc::AF_PACKET, 0, false),
            (libc::AF_ALG, 0, false),
            (libc::AF_VSOCK, 0, false),
        ] {
            let word = |number: i32| u64::try_from(number).unwrap();
            let call = u64::try_from(libc::SYS_socket).unwrap();
            let arguments = [word(family), word(libc::SOCK_STREAM), word(protocol)];
            assert_eq!(passes(&programs, call, arguments), may, "{family} {protocol}");
            // The upper half of a word is not the kernel's.
            let [family, kind, protocol] = arguments.map(|word| word | 7 << 32);
            assert_eq!(passes(&programs, call, [family, kind, protocol]), may);
        }
    }

    #[test]
    #[cfg(all(target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn numbers_that_are_written_out_are_those_of_the_c_library() {
        assert_eq!(KEXEC_FILE_LOAD, libc::SYS_kexec_file_load);
    }

    #[test]
    fn no_forbidden_call_passes_by_another_number() {
        let (_, programs) = programs().unwrap();
        let number = |call: c_long| u64::try_from(call).unwrap();
        for call in FORBIDDEN.map(number) {
            assert!(!passes(&programs, call, [0; 3]), "{call}");
            if cfg!(target_arch = "x86_64") {
                assert!(!passes(&programs, call | 0x4000_0000, [0; 3]), "{call} of x32");
            }
        }
        let used = [libc::SYS_recvmmsg, libc::SYS_sendmmsg, libc::SYS_openat, libc::SYS_futex];
        for call in used.map(number).into_iter().chain([0, 511, 548, 600]) {
            assert!(passes(&programs, call, [0; 3]), "{call}");
        }
        if cfg!(target_arch = "x86_64") {
            for call in [512, 520, 547, 0x4000_0000, 0x4000_0220, 0xffff_ffff] {
                assert!(!passes(&programs, call, [0; 3]), "{call}");
            }
        }
        let clone = number(libc::SYS_clone);
        assert!(passes(&programs, clone, [0x3d_0f00, 0, 0]), "threads start");
        assert!(!passes(&programs, clone, [0x1000_0000, 0, 0]), "no namespaces of users");
    }
}
