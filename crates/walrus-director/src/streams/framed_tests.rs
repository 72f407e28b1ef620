//! TCP where others answer some of the messages: what is asked behind these waits for none of them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown as Half, TcpStream};

use super::tests::{LONG, Running, framed, read_message};
use super::{Back, Duration, KEEPER_WITHIN, QUERY_SIZE_MAX};
use crate::zones::Event;

/// How many messages of one connection are with others at once.
const AT_ONCE: u8 = 4;

/// A message for the keeper, who may be anybody here: NOTIFY, since an update without a signature is refused at once.
fn change(number: u8) -> Vec<u8> {
    framed(&[&[0, number, 0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0], &b"\x01x\0\0\x06\0\x01"[..]].concat())
}

fn start(idle: Duration) -> Running {
    let running = Running::start(10, idle);
    running.hand_off.set_open(true);
    running
}

/// The next message that the keeper gets: its number, and the way back.
fn taken(running: &Running) -> (u8, Back) {
    let event = running.mailboxes.changes.recv_timeout(LONG).expect("a message");
    let Event::Message(handed, _) = event else { panic!("a message") };
    (handed.message[1], handed.back)
}

#[test]
fn what_is_asked_behind_a_change_overtakes_it() {
    let running = start(LONG);
    let mut stream = running.connect();
    let all = [framed(b"before"), change(1), framed(b"between"), change(2), framed(b"behind")];
    stream.write_all(&all.concat()).unwrap();
    for expected in [&b"BEFORE"[..], b"BETWEEN", b"BEHIND"] {
        assert_eq!(read_message(&mut stream), expected);
    }
    let (first, second) = (taken(&running), taken(&running));
    assert_eq!((first.0, second.0), (1, 2), "changes keep their order");
    second.1.send(b"second".to_vec());
    assert_eq!(read_message(&mut stream), b"second");
    stream.write_all(&framed(b"still there")).unwrap();
    assert_eq!(read_message(&mut stream), b"STILL THERE");
    first.1.send(b"first".to_vec());
    assert_eq!(read_message(&mut stream), b"first");
}

#[test]
fn of_many_changes_at_once_a_few_are_with_the_keeper_and_all_are_done() {
    const ALL: u8 = 40;
    let running = start(LONG);
    let mut stream = running.connect();
    stream.write_all(&(0..ALL).flat_map(change).collect::<Vec<_>>()).unwrap();
    stream.write_all(&framed(b"last")).unwrap();
    let mut held: Vec<(u8, Back)> = (0..AT_ONCE).map(|_| taken(&running)).collect();
    for number in AT_ONCE..ALL {
        assert!(running.mailboxes.changes.try_recv().is_err(), "{number}");
        let (first, back) = held.remove(0);
        back.send(vec![first]);
        assert_eq!(read_message(&mut stream), [first]);
        held.push(taken(&running));
        assert_eq!(held.last().unwrap().0, number);
    }
    // One place is free, so what follows is looked at.
    let (first, back) = held.remove(0);
    back.send(vec![first]);
    assert_eq!(read_message(&mut stream), [first]);
    assert_eq!(read_message(&mut stream), b"LAST");
}

#[test]
fn who_sends_no_more_is_still_told_what_became_of_it() {
    let running = start(LONG);
    let mut stream = running.connect();
    stream.write_all(&(0..AT_ONCE + 1).flat_map(change).collect::<Vec<_>>()).unwrap();
    stream.write_all(&framed(b"last")).unwrap();
    stream.shutdown(Half::Write).unwrap();
    for _ in 0..=AT_ONCE {
        let (number, back) = taken(&running);
        back.send(vec![number]);
    }
    let mut told: Vec<Vec<u8>> = (0..AT_ONCE + 2).map(|_| read_message(&mut stream)).collect();
    told.sort();
    let mut expected: Vec<Vec<u8>> = (0..=AT_ONCE).map(|it| vec![it]).collect();
    expected.push(b"LAST".to_vec());
    assert_eq!(told, expected);
    assert!(is_closed(&mut stream));
}

/// Whether the server has closed it, which takes LONG at most.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(LONG)).unwrap();
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
    }
}

/// Waits until the server has looked at all that happened before.
fn settle(running: &Running) {
    for _ in 0..2 {
        let mut stream = running.connect();
        stream.write_all(&framed(b"x")).unwrap();
        assert_eq!(read_message(&mut stream), b"X");
    }
}

/// What is lost ends the connection, which is how its client learns of it; but not before the others are answered.
#[test]
fn what_gets_no_reply_ends_the_connection_behind_the_others() {
    let running = start(LONG);
    let mut stream = running.connect();
    stream.write_all(&[change(1), change(2)].concat()).unwrap();
    let (first, second) = (taken(&running), taken(&running));
    drop(first);
    settle(&running);
    stream.write_all(&framed(b"x")).unwrap();
    settle(&running);
    second.1.send(b"second".to_vec());
    assert_eq!(read_message(&mut stream), b"second", "what came afterwards is not answered");
    assert!(is_closed(&mut stream));
    settle(&running);
    assert_eq!(running.counted().tcp_timeouts, 0);
}

#[test]
fn who_waits_for_a_reply_may_be_silent() {
    let running = start(Duration::from_secs(1));
    let mut stream = running.connect();
    stream.write_all(&change(1)).unwrap();
    let (_, back) = taken(&running);
    // Others' time is over meanwhile, twice.
    assert!(is_closed(&mut running.connect()));
    assert!(is_closed(&mut running.connect()));
    back.send(b"done".to_vec());
    assert_eq!(read_message(&mut stream), b"done");
    assert!(is_closed(&mut stream), "and now it is silent for too long");
}

/// A place for a long update is few others', so nobody keeps it by waiting for something else.
#[test]
fn half_a_long_update_has_no_more_time_for_a_reply_that_is_awaited() {
    let running = start(Duration::from_secs(1));
    let mut stream = running.connect();
    let mut long = vec![0, 9, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    long.resize(2 * QUERY_SIZE_MAX, 0xff);
    let half = framed(&long)[..QUERY_SIZE_MAX + 2].to_vec();
    stream.write_all(&[change(1), half].concat()).unwrap();
    let (_, back) = taken(&running);
    assert!(is_closed(&mut running.connect()));
    assert!(is_closed(&mut running.connect()));
    // Too late: the rest is not looked at.
    stream.write_all(&framed(&long)[QUERY_SIZE_MAX + 2..]).unwrap();
    settle(&running);
    assert!(running.mailboxes.changes.try_recv().is_err());
    back.send(b"done".to_vec());
    assert_eq!(read_message(&mut stream), b"done");
    assert!(is_closed(&mut stream));
    settle(&running);
    assert_eq!(running.counted().tcp_timeouts, 3);
}

#[test]
fn what_is_too_long_ends_the_connection_behind_the_others() {
    let running = start(LONG);
    let mut stream = running.connect();
    stream.write_all(&[change(1), vec![0xff, 0xff, 1, 2, 3, 4]].concat()).unwrap();
    let (_, back) = taken(&running);
    settle(&running);
    back.send(b"done".to_vec());
    assert_eq!(read_message(&mut stream), b"done");
    assert!(is_closed(&mut stream));
    settle(&running);
    assert_eq!(running.counted().tcp_timeouts, 1);
}

#[test]
fn who_is_gone_is_not_waited_for() {
    let running = start(LONG);
    let mut stream = running.connect();
    stream.write_all(&change(1)).unwrap();
    let (_, back) = taken(&running);
    // A reset: what came was not read.
    stream.write_all(&framed(b"unread")).unwrap();
    stream.peek(&mut [0]).unwrap();
    drop(stream);
    // Long before anybody's patience is over.
    let until = std::time::Instant::now() + KEEPER_WITHIN / 2;
    while !back.is_gone() {
        assert!(std::time::Instant::now() < until, "the connection is still there");
        std::thread::yield_now();
    }
}
