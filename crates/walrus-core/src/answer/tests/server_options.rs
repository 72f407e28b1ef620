//! What replies say of the server: the same on both paths, within the room that there is.

use domain::base::Message;
use domain::base::opt::nsid::Nsid;
use domain::base::opt::{Cookie, Padding, TcpKeepalive};
use walrus_dns::record_type::{A, TXT};

use super::fixture::{Ask, both, plan, table};
use crate::answer::{
    ClientCookie, Outcome, Request, ServerOptions, Transport, WorkerState, respond,
    respond_completely,
};

const NSID: u16 = 3;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;

/// The reply and what the client's cookie showed.
fn answer(ask: &Ask) -> (Vec<u8>, ClientCookie) {
    let table = table(plan());
    let mut worker = WorkerState::new(1, &table);
    let bytes = ask.bytes();
    let request = ask.request(&bytes);
    if let Some(reply) = both(&table, &mut worker, &request) {
        return (reply.0, worker.decision().cookie);
    }
    let mut reply = vec![0; 65_535];
    let Outcome::Reply(len) = respond_completely(&table, &mut worker, &request, &mut reply) else {
        panic!("it is answered");
    };
    reply.truncate(len);
    (reply, worker.decision().cookie)
}

#[test]
fn nothing_is_said_that_was_not_asked_for() {
    let (reply, cookie) = answer(&Ask::new("www.example", A));
    let opt = Message::from_octets(&reply[..]).unwrap().opt().unwrap();
    assert_eq!((opt.opt().len(), cookie), (0, ClientCookie::None));
}

#[test]
fn who_it_is_and_a_cookie() {
    for name in ["www.example", "nobody.example", "elsewhere.invalid", "a.b.del.example"] {
        let ask = Ask::new(name, A).option(NSID, b"").option(COOKIE, &[1; 8]);
        let (reply, cookie) = answer(&ask);
        let opt = Message::from_octets(&reply[..]).unwrap().opt().unwrap();
        let nsid = opt.opt().first::<Nsid<_>>().unwrap();
        assert_eq!((nsid.as_slice(), cookie), (&b"ns1"[..], ClientCookie::New), "{name}");
        let given = opt.opt().first::<Cookie>().unwrap();
        let back = [&[1; 8][..], given.server().unwrap().as_ref()].concat();
        let (again, cookie) = answer(&Ask::new(name, A).option(COOKIE, &back));
        assert_eq!(cookie, ClientCookie::Known, "{name}");
        let stolen = Ask::new(name, A).option(COOKIE, &back).from("198.51.100.7");
        assert_eq!(answer(&stolen).1, ClientCookie::New, "{name}");
        let opt = Message::from_octets(&again[..]).unwrap().opt().unwrap();
        assert_eq!(opt.opt().first::<Cookie>().unwrap(), given, "{name}");
    }
}

/// A query without a question, with this cookie.
fn without_question(cookie: &[u8]) -> Vec<u8> {
    let mut bytes = vec![7, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&[4 + cookie.len() as u8, 0, 10, 0, cookie.len() as u8]);
    bytes.extend_from_slice(cookie);
    bytes
}

/// RFC 7873 section 5.4.
#[test]
fn a_cookie_is_given_without_a_question() {
    let table = table(plan());
    let mut worker = WorkerState::new(1, &table);
    let ask = Ask::new("www.example", A);
    let mut give = |cookie: &[u8]| {
        let bytes = without_question(cookie);
        let reply = both(&table, &mut worker, &ask.request(&bytes)).expect("the fast path does").0;
        let message = Message::from_octets(reply).unwrap();
        let given = message.opt().unwrap().opt().first::<Cookie>();
        (message.opt_rcode().to_int(), given, worker.decision().cookie, message)
    };
    let (rcode, given, shown, message) = give(&[1; 8]);
    assert_eq!((rcode, shown), (0, ClientCookie::New));
    let counts = message.header_counts();
    assert_eq!((counts.qdcount(), counts.ancount(), message.header().aa()), (0, 0, false));
    assert_eq!(message.header().id(), 0x0707);
    let back = [&[1; 8][..], given.as_ref().unwrap().server().unwrap().as_ref()].concat();
    let (rcode, again, shown, _) = give(&back);
    assert_eq!((rcode, again, shown), (0, given, ClientCookie::Known));
    // BADCOOKIE, with one that is good.
    for wrong in [&[9; 24][..], &[9; 16]] {
        let (rcode, given, shown, _) = give(wrong);
        assert_eq!((rcode, given.is_some(), shown), (23, true, ClientCookie::New));
    }
    // No cookie, or one that is none: no question remains an error.
    let mut bare = without_question(&[1; 8]);
    bare[11] = 0;
    bare.truncate(12);
    for bytes in [bare, without_question(&[1; 7])] {
        let reply = both(&table, &mut worker, &ask.request(&bytes)).unwrap().0;
        assert_eq!((reply[3] & 15, reply.len()), (1, 12));
    }
}

#[test]
fn what_is_said_of_the_server_is_cut_to_the_room_that_is_left() {
    let table = table(plan());
    let mut worker = WorkerState::new(1, &table);
    let long = ServerOptions {
        nsid: Some(vec![b'n'; 255].into()),
        version: Some("v".repeat(255).into()),
        ..ServerOptions::default()
    };
    let ask = Ask { class: 3, ..Ask::new("version.bind", TXT).option(NSID, b"") };
    let mut bytes = ask.bytes();
    // A client that takes no more than 512 bytes.
    let at = bytes.len() - 4 - 8;
    bytes[at..at + 2].copy_from_slice(&[2, 0]);
    let request = Request { server: &long, ..ask.request(&bytes) };
    let mut reply = vec![0; 65_535];
    let Outcome::Reply(len) = respond_completely(&table, &mut worker, &request, &mut reply) else {
        panic!("it is answered");
    };
    assert!(len <= 512, "{len}");
    assert_eq!(reply[2] & 2, 2, "cut");
}

#[test]
fn how_long_a_connection_waits_is_said_where_there_is_one() {
    for (transport, expected) in [
        (Transport::Udp, None),
        (Transport::Tcp, Some(100)),
        (Transport::Tls, Some(100)),
        (Transport::Https, None),
    ] {
        let (reply, _) = answer(&Ask::new("www.example", A).option(KEEPALIVE, b"").by(transport));
        let opt = Message::from_octets(&reply[..]).unwrap().opt().unwrap();
        let keepalive = opt.opt().first::<TcpKeepalive>().and_then(|it| it.timeout());
        assert_eq!(keepalive.map(u16::from), expected, "{transport:?}");
    }
}

#[test]
fn padding_goes_only_where_nobody_can_read() {
    for (transport, is_padded) in [
        (Transport::Udp, false),
        (Transport::Tcp, false),
        (Transport::Tls, true),
        (Transport::Https, true),
    ] {
        let ask = Ask::new("www.example", A).option(PADDING, &[0; 30]).by(transport);
        let (reply, _) = answer(&ask);
        assert_eq!(reply.len() == 468, is_padded, "{transport:?}: {}", reply.len());
        let opt = Message::from_octets(&reply[..]).unwrap().opt().unwrap();
        assert_eq!(opt.opt().first::<Padding<_>>().is_some(), is_padded, "{transport:?}");
    }
}

#[test]
fn a_cookie_of_no_length_that_cookies_have_is_an_error() {
    for len in [0, 7, 9, 15, 41] {
        let (reply, _) = answer(&Ask::new("www.example", A).option(COOKIE, &vec![1; len]));
        assert_eq!(reply[3] & 15, 1, "{len}");
    }
}

#[test]
fn room_is_kept_for_what_is_added() {
    // Answers that just fit without: with the options they are cut, and never longer than allowed.
    let table = table(plan());
    for size in 512..560 {
        let mut ask = Ask::new("txt.example", TXT).option(NSID, b"").option(COOKIE, &[1; 8]);
        ask.edns = Some((size, false));
        let mut worker = WorkerState::new(1, &table);
        let bytes = ask.bytes();
        let mut reply = vec![0; 65_535];
        let outcome = respond(&table, &mut worker, &ask.request(&bytes), &mut reply);
        let Outcome::Reply(len) = outcome else { panic!("{outcome:?}") };
        assert!(len <= usize::from(size));
    }
}

#[test]
fn servers_speak_of_themselves_in_the_class_ch() {
    let ask = |name: &str, record_type| {
        let (reply, _) = answer(&Ask { class: 3, ..Ask::new(name, record_type) });
        let message = Message::from_octets(reply).unwrap();
        let answers = message.answer().unwrap().limit_to::<domain::rdata::Txt<_>>();
        let answers: Vec<String> =
            answers.map(|record| record.unwrap().data().to_string()).collect();
        (message.header().rcode().to_int(), answers)
    };
    for name in ["version.bind", "VERSION.server"] {
        assert_eq!(ask(name, TXT), (0, vec!["\"walrus\"".to_owned()]), "{name}");
    }
    for name in ["id.server", "hostname.bind"] {
        assert_eq!(ask(name, TXT), (0, vec!["\"ns1\"".to_owned()]), "{name}");
    }
    assert_eq!(ask("version.bind", A), (0, vec![]));
    assert_eq!(ask("authors.bind", TXT), (5, vec![]));
    assert_eq!(ask("www.example", A), (5, vec![]));
}
