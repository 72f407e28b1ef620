//! What the sandbox of a name server costs on the way of answers.
//!
//! An answering thread makes two kinds of system calls, on UDP sockets. Here a thread makes the same, a packet a call,
//! which is the most that the filter can cost: inside the sandbox and outside of it in turn, by the CPU time that
//! the kernel counts for the thread, so that other programs on the machine change little.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use walrus_host::sandbox::{Allowed, enter};

use super::figures::Figures;

/// Packets that are sent and received in a slice.
const PACKETS: u64 = 100_000;
/// Pairs of slices; an odd number has one in the middle.
const ROUNDS: usize = 11;
/// A usual query is as long.
const PACKET: [u8; 60] = [7; 60];

pub(crate) fn measure() -> Result<Figures> {
    let mut ratios = Vec::new();
    let (mut outside, mut inside) = (Vec::new(), Vec::new());
    let mut enforced = Vec::new();
    for round in 0..ROUNDS {
        // Who begins takes turns as well.
        let (first, second) = (slice(round % 2 == 1)?, slice(round % 2 == 0)?);
        let (free, held) = if round % 2 == 1 { (second, first) } else { (first, second) };
        ratios.push(held.nanoseconds / free.nanoseconds);
        outside.push(free.nanoseconds);
        inside.push(held.nanoseconds);
        enforced = held.enforced;
    }
    let by = if enforced.is_empty() { "nothing".to_owned() } else { enforced.join("; ") };
    let mut figures = Figures::new(format!("a UDP packet sent and received, enforced: {by}"));
    figures.tell("outside of the sandbox, CPU time", middle(&mut outside), "ns");
    figures.tell("inside, CPU time", middle(&mut inside), "ns");
    figures.tell("inside, of outside: the middle of the rounds", middle(&mut ratios) * 100.0, "%");
    figures.tell("... the least of a round", ratios[0] * 100.0, "%");
    figures.tell("... the most of a round", ratios[ratios.len() - 1] * 100.0, "%");
    Ok(figures)
}

struct Slice {
    /// Of CPU time, a packet.
    nanoseconds: f64,
    enforced: Vec<String>,
}

/// In a thread of its own, which takes its sandbox with it.
fn slice(in_sandbox: bool) -> Result<Slice> {
    let work = move || -> Result<Slice> {
        let (sender, receiver) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
        sender.connect(receiver.local_addr()?)?;
        let enforced = match in_sandbox {
            true => enter(&allowed()).by,
            false => Vec::new(),
        };
        let before = cpu_nanoseconds()?;
        let mut buffer = [0; 512];
        for _ in 0..PACKETS {
            sender.send(&PACKET)?;
            receiver.recv(&mut buffer)?;
        }
        let used = cpu_nanoseconds()? - before;
        Ok(Slice { nanoseconds: used as f64 / PACKETS as f64, enforced })
    };
    let ended = std::thread::spawn(work).join();
    ended.map_err(|_| anyhow!("a measuring thread broke"))?
}

/// As a name server with some folders and ports.
fn allowed() -> Allowed {
    Allowed {
        read: [PathBuf::from("/etc")].into(),
        write: [std::env::temp_dir()].into(),
        bind: [53, 8053].into(),
        connect: Some(BTreeSet::from([53, 4222])),
    }
}

/// That this thread has had so far.
fn cpu_nanoseconds() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    text.split_whitespace().next().and_then(|it| it.parse().ok()).context("schedstat is empty")
}

/// The one in the middle; they are in order then.
fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
