//! A primary that sends whatever it likes: garbage, nothing, a zone without an end, an older one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{ZONE, answer, free, wait_until};
use crate::programs::{wait_for, wait_or_tell};
use crate::together;

/// What it does with the next connection.
const GOOD: u32 = 0;
const GARBAGE: u32 = 1;
const CLOSES: u32 = 2;
const ENDLESS: u32 = 3;
const OLDER: u32 = 4;
const OUTSIDE: u32 = 5;
const MODES: [(u32, &str); 4] = [
    (GARBAGE, "no reply to a transfer"),
    (CLOSES, "reached"),
    (ENDLESS, "larger than a zone may be"),
    (OLDER, "not newer"),
];

fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.') {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

fn record(owner: &str, record_type: u16, data: &[u8]) -> Vec<u8> {
    let mut record = name(owner);
    record.extend_from_slice(&record_type.to_be_bytes());
    record.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
    record.extend_from_slice(&(data.len() as u16).to_be_bytes());
    record.extend_from_slice(data);
    record
}

fn soa(serial: u32) -> Vec<u8> {
    let numbers: [u32; 5] = [serial, 1, 1, 1000, 60];
    let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    record(ZONE, 6, &[name("ns.x"), name("host.x"), numbers].concat())
}

fn message(id: &[u8], records: &[Vec<u8>]) -> Vec<u8> {
    let count = (records.len() as u16).to_be_bytes();
    let mut message = [id, &[0x84, 0, 0, 0], &count, &[0; 4]].concat();
    message.extend(records.concat());
    [&(message.len() as u16).to_be_bytes()[..], &message].concat()
}

fn serve(mut stream: TcpStream, mode: u32, serial: u32) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut asked = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut asked)?;
    let (id, kind) = (&asked[..2], asked[12 + name(ZONE).len() + 1]);
    let is_soa = kind == 6;
    let a = |owner: &str, last| record(owner, 1, &[192, 0, 2, last]);
    let ns = record(ZONE, 2, &name("ns.x"));
    let whole = vec![soa(serial), ns.clone(), a(&format!("a.{ZONE}"), 1), soa(serial)];
    match mode {
        CLOSES => Ok(()),
        OLDER => stream.write_all(&message(id, &[soa(serial - 1)])),
        _ if is_soa => stream.write_all(&message(id, &[soa(serial)])),
        GARBAGE => stream.write_all(&[&[0, 9], &b"GET / HTT"[..]].concat()),
        OUTSIDE => {
            let (outside, other) = (a("www.elsewhere.example", 66), a(&format!("a.{ZONE}"), 2));
            stream.write_all(&message(id, &[soa(serial), ns, outside, other, soa(serial)]))
        }
        ENDLESS => {
            stream.write_all(&message(id, &[soa(serial), ns]))?;
            for number in 0_u64.. {
                let many = (0..500).map(|it| a(&format!("n{it}.x{number}.{ZONE}"), 1));
                stream.write_all(&message(id, &many.collect::<Vec<_>>()))?;
            }
            Ok(())
        }
        _ => stream.write_all(&message(id, &whole)),
    }
}

#[test]
fn a_primary_that_sends_garbage_changes_nothing_and_is_told_of() {
    let _together = together();
    let folder = tempfile::tempdir().unwrap();
    let (mode, serial) = (Arc::new(AtomicU32::new(GOOD)), Arc::new(AtomicU32::new(7)));
    // By TCP alone, so that the serial is asked for there, too.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let primary: SocketAddr = listener.local_addr().unwrap();
    let (its_mode, its_serial) = (Arc::clone(&mode), Arc::clone(&serial));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (mode, serial) = (its_mode.clone(), its_serial.clone());
            let serve = move || {
                let _ = serve(stream, mode.load(Ordering::SeqCst), serial.load(Ordering::SeqCst));
            };
            std::thread::spawn(serve);
        }
    });
    let dns = free();
    let text = format!(
        "[[zone]]\nname = \"{ZONE}\"\nprimaries = [{{ address = \"{primary}\" }}]\n\
         [[cluster]]\nname = \"c\"\nservers = [{{ name = \"s1\", addresses = [\"192.0.2.80\"] }}]\n\
         [[service]]\nname = \"www.{ZONE}\"\n"
    );
    let node = crate::walrus::Node {
        dns: Some(dns),
        dns_lines: "zone_memory_max = 1\n",
        ..crate::walrus::Node::default()
    };
    let walrus = crate::walrus::Walrus::start_node(&node, folder.path(), &text);
    wait_until(&walrus, "a", (0, &[1]));
    for (bad, word) in MODES {
        mode.store(bad, Ordering::SeqCst);
        if bad != OLDER {
            serial.fetch_add(1, Ordering::SeqCst);
        }
        let zone = || walrus.status()["zones"][0].clone();
        wait_or_tell(
            word,
            || zone()["problem"].as_str().filter(|it| it.contains(word)).map(drop),
            || format!("{}\n{}", zone(), walrus.said()),
        );
        assert_eq!(answer(dns, "a"), Some((0, vec![1])), "{word}");
        assert_eq!(zone()["state"], "served");
        mode.store(GOOD, Ordering::SeqCst);
        wait_for("the zone again", || zone()["problem"].is_null().then_some(()));
    }
    let told = walrus.status()["zones"][0].clone();
    let failures = format!("walrus_zone_in_failures_total{{zone={}}}", told["zone"]);
    assert!(walrus.metric(&failures) >= MODES.len() as u64, "{told}");
    // One line a minute.
    assert!(walrus.said().contains("was not brought up to date"), "{}", walrus.said());
    // What belongs elsewhere is left out, and the rest taken.
    mode.store(OUTSIDE, Ordering::SeqCst);
    serial.fetch_add(1, Ordering::SeqCst);
    wait_until(&walrus, "a", (0, &[2]));
    assert!(walrus.said().contains("not in the zone and left out"), "{}", walrus.said());
}
