//! A name server that is 150 ms away: how long it takes until all names are changed, and until all are there
//! again after it lost them.
//!
//! `cargo test -p walrus --test lab existing::far -- --nocapture` prints the times.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use walrus_core::update::{Reply, ReplyData, Request};
use walrus_dns::record_type;

use super::programs::Kind;
use super::scene::{Scene, wait_for_problem};
use crate::programs::{say, wait_for};
use crate::together;

/// There or back.
const ONE_WAY: Duration = Duration::from_millis(75);
/// Beside the one that is always there.
const MORE: usize = 49;

/// Lets connections through to `server`, and all that they carry, each way late. The kernel answers who
/// connects at once, so that what is said first waits for a round trip more.
fn far_away(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (Ok(near), Ok(far)) = (near, TcpStream::connect(server)) else { continue };
            let (Ok(from_near), Ok(to_far)) = (near.try_clone(), far.try_clone()) else { continue };
            let connected = Instant::now() + 2 * ONE_WAY;
            std::thread::spawn(move || carry(from_near, to_far, connected));
            std::thread::spawn(move || carry(far, near, connected));
        }
    });
    address
}

fn carry(mut from: TcpStream, mut to: TcpStream, connected: Instant) {
    let (sender, receiver) = channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        for (at, bytes) in receiver {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let at = Instant::now().max(connected) + ONE_WAY;
        if sender.send((at, buffer[..len].to_vec())).is_err() {
            return;
        }
    }
}

/// How many names have exactly these addresses, asked at the name server itself.
fn having(scene: &Scene, addresses: &[&str]) -> usize {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(scene.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let has = |label: &str| {
        let name = format!("{label}.europe.example").parse().unwrap();
        let question = Request::Query { name, record_type: record_type::A };
        socket.send(&question.compose(7).unwrap().finish()).ok()?;
        let mut buffer = [0; 1500];
        let len = socket.recv(&mut buffer).ok()?;
        let reply = Reply::read(&buffer[..len], 7, &question).ok()?;
        let mut held: Vec<String> = reply
            .answers
            .iter()
            .filter_map(|record| match record.data {
                ReplyData::Address(IpAddr::V4(address)) => Some(address.to_string()),
                _ => None,
            })
            .collect();
        held.sort();
        (held == addresses).then_some(())
    };
    let labels = scene.more.iter().map(String::as_str).chain(["www"]);
    labels.filter(|label| has(label).is_some()).count()
}

/// Changes and returns reach all names in a few round trips, and not in some for each name.
fn many_names_far_away(kind: Kind) {
    let _together = together();
    let Some(program) = kind.installed(&format!("{kind:?} far away")) else { return };
    let mut scene = Scene::new("");
    scene.more = (0..MORE).map(|index| format!("www{index}")).collect();
    scene.by = Some(far_away(scene.address));
    let mut name_server = program.start(&scene);
    let wait_for_all = |addresses: &[&str]| {
        wait_for(&format!("all with {addresses:?}"), || {
            (having(&scene, addresses) == MORE + 1).then_some(())
        });
    };
    let walrus = scene.start_walrus();
    wait_for_all(&["192.0.2.1", "192.0.2.2"]);
    // Right after everything was written nothing of it has been read again.
    let begin = Instant::now();
    let (code, said) = walrus.call(&["drain", "fra1"]);
    assert_eq!(code, Some(0), "{said}");
    let in_force = begin.elapsed();
    wait_for_all(&["192.0.2.2"]);
    let changed = begin.elapsed();
    name_server.kill();
    wait_for_problem(&walrus, "127.0.0.1");
    let _name_server = program.start(&scene);
    let begin = Instant::now();
    wait_for("the first", || (having(&scene, &["192.0.2.2"]) > 0).then_some(()));
    let first = begin.elapsed();
    wait_for_all(&["192.0.2.2"]);
    say(&format!(
        "\n{kind:?}, {} names, 150 ms: the Plan was there after {} ms, all names changed after {} ms; it came \
         back empty: the first name after {} ms, all after {} ms",
        MORE + 1,
        in_force.as_millis(),
        changed.as_millis(),
        first.as_millis(),
        begin.elapsed().as_millis()
    ));
}

#[test]
fn many_names_of_bind_far_away() {
    many_names_far_away(Kind::Bind);
}

#[test]
fn many_names_of_knot_far_away() {
    many_names_far_away(Kind::Knot);
}

#[test]
fn many_names_of_powerdns_far_away() {
    many_names_far_away(Kind::PowerDns);
}
