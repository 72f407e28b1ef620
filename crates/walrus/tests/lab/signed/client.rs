//! A client that asks a resolver all the while, and keeps what was wrong.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::every_answer::within;
use super::family::PROMISED;
use super::resolvers::Resolver;

/// For how long it listens between two questions whether it is over: the machine shall have time
/// for the rest.
const LISTENS: Duration = Duration::from_millis(3);

/// Beside services' types: a name, a type, and the code of the reply.
const STATIC: &[(&str, &str, &str)] = &[
    ("@", "SOA", "NOERROR"),
    ("@", "DNSKEY", "NOERROR"),
    ("static", "A", "NOERROR"),
    ("static", "TXT", "NOERROR"),
    ("www", "TXT", "NOERROR"),
    ("www", "MX", "NOERROR"),
    ("to-service", "AAAA", "NOERROR"),
    ("some.wild", "TXT", "NOERROR"),
    ("some.wild", "A", "NOERROR"),
    ("none", "A", "NXDOMAIN"),
    ("b.ent", "A", "NOERROR"),
    ("www.secure", "A", "NOERROR"),
];

/// What it has seen.
#[derive(Default)]
pub(super) struct Client {
    asked: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Client {
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Fails if an answer was wrong, or the resolver says so.
    pub(super) fn assert_all_was_right(self, resolver: &Resolver) {
        let answers = self.asked();
        let wrong = self.wrong.into_inner().unwrap();
        let first = &wrong[..wrong.len().min(5)];
        assert!(wrong.is_empty(), "{} of {answers}: {first:#?}", wrong.len());
        // A second try can hide a wrong answer from clients, but not from the resolver's log.
        assert!(!resolver.said().contains("validation failure"), "{}", resolver.said());
    }

    /// Until the other end of `over` is gone.
    pub(super) fn ask_all_the_while(&self, resolver: &Resolver, over: &Receiver<()>) {
        let begin = Instant::now();
        let dynamic = PROMISED.iter().flat_map(|(name, types)| {
            types.iter().map(|it| ((*name).to_owned(), *it, "NOERROR", true))
        });
        let steady = STATIC.iter().map(|(name, record_type, rcode)| {
            let has_data = matches!(*record_type, "SOA" | "DNSKEY") || *name == "static";
            (within(name), *record_type, *rcode, has_data && *record_type != "TXT")
        });
        let questions: Vec<_> = dynamic.chain(steady).collect();
        for (name, record_type, rcode, has_data) in questions.iter().cycle() {
            if over.recv_timeout(LISTENS) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let reply = resolver.ask(name, record_type);
            let is_right = reply.secure
                && reply.rcode == *rcode
                && (!has_data || !reply.data(record_type).is_empty());
            if !is_right {
                let when = begin.elapsed();
                let text = format!("after {when:.1?} {name} {record_type}: {reply:?}");
                self.wrong.lock().unwrap().push(text);
            }
            self.asked.fetch_add(1, Ordering::SeqCst);
        }
    }
}
