//! Who asks the web server, out of its access log: requests by client prefix, in bounded memory.
//!
//! Of a line nothing is kept but the client's prefix. The heaviest are told, the others as one sum.

mod line;
mod looks;
mod tail;

use walrus_core::config::AccessLogSettings;
use walrus_core::world::{Domain, DomainCount, RequestCounts, SpaceSaving, Time};

use self::line::Line;
pub(crate) use self::looks::Looks;
use self::tail::{LINE_MAX, Looked, Tail};

/// Prefixes that are counted between two reports, so many for each that is told: about 500 kB.
const PREFIXES_COUNTED: usize = 8 * RequestCounts::DOMAINS_MAX;

/// The access log of one web server.
#[derive(Debug)]
pub(crate) struct AccessLog {
    settings: AccessLogSettings,
    own_page: Option<String>,
    tail: Tail,
    counts: SpaceSaving<Domain>,
    since: Time,
    read: Looked,
    requests: u64,
    broken_lines: u64,
    told: Told,
}

/// What was said in the log, so that it is said once and not each unit.
#[derive(Debug, Default)]
struct Told {
    problem: Option<String>,
    broken: bool,
    skipped: bool,
}

impl AccessLog {
    /// Begins at the end of what is there now. `status_url` is the page that the Reporter asks for
    /// itself.
    pub(crate) fn new(settings: AccessLogSettings, status_url: Option<&str>, now: Time) -> Self {
        let mut log = Self {
            own_page: status_url.map(line::page_of),
            tail: Tail::new(settings.path.clone()),
            settings,
            counts: SpaceSaving::new(PREFIXES_COUNTED),
            since: now,
            read: Looked::default(),
            requests: 0,
            broken_lines: 0,
            told: Told::default(),
        };
        log.look();
        log
    }

    /// Counts what came since the last look.
    pub(crate) fn look(&mut self) {
        let Self { tail, counts, settings, own_page, requests, broken_lines, .. } = self;
        let looked = tail.look(|text| match line::read(text, own_page.as_deref()) {
            Line::Request(client) => {
                let client = client.to_canonical();
                let ipv4 = client.is_ipv4();
                let length = if ipv4 { settings.prefix_ipv4 } else { settings.prefix_ipv6 };
                counts.add(Domain::new(client, length), 1);
                *requests += 1;
            }
            Line::Broken => *broken_lines += 1,
            Line::Own | Line::Empty => {}
        });
        self.read.read_bytes += looked.read_bytes;
        self.read.skipped_bytes += looked.skipped_bytes;
        self.read.long_lines += looked.long_lines;
        self.tell_problem(looked.problem);
    }

    /// What was counted since the last call; `None` if there is no log to read.
    pub(crate) fn take(&mut self, now: Time) -> Option<RequestCounts> {
        self.tell_lines();
        let duration = now.since(self.since);
        let Looked { read_bytes, skipped_bytes, .. } = std::mem::take(&mut self.read);
        let (heavy, rest) = self.counts.take(RequestCounts::DOMAINS_MAX);
        (self.since, self.requests, self.broken_lines) = (now, 0, 0);
        if !self.tail.is_open() {
            return None;
        }
        // What was read stands for what was skipped, too.
        let times = |count: u64| match skipped_bytes {
            0 => count,
            _ => {
                let whole = u128::from(read_bytes) + u128::from(skipped_bytes);
                let scaled = u128::from(count) * whole / u128::from(read_bytes.max(1));
                u64::try_from(scaled).unwrap_or(u64::MAX)
            }
        };
        let domains = heavy.into_iter().map(|heavy| DomainCount {
            domain: heavy.key.to_string(),
            queries: times(heavy.count),
            error: times(heavy.error),
        });
        Some(RequestCounts {
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1),
            domains: domains.collect(),
            rest: times(rest),
        })
    }

    fn tell_problem(&mut self, problem: Option<String>) {
        if problem == self.told.problem {
            return;
        }
        let file = self.settings.path.display();
        match &problem {
            Some(problem) => tracing::warn!(
                %file,
                problem,
                "the access log cannot be read: who asks is not told until it can"
            ),
            None => tracing::info!(%file, "the access log is read"),
        }
        self.told.problem = problem;
    }

    /// Says once what is odd about the lines, until it no longer is.
    fn tell_lines(&mut self) {
        let file = self.settings.path.display();
        let Looked { skipped_bytes, long_lines, .. } = self.read;
        let broken_lines = self.broken_lines;
        let broken = broken_lines > self.requests;
        if broken && !self.told.broken {
            tracing::warn!(
                %file,
                broken_lines,
                requests = self.requests,
                "most lines of the access log do not begin with a client's address: let the web \
                 server write the common or the combined format, without looking names up"
            );
        } else if broken_lines + long_lines > 0 {
            tracing::debug!(%file, broken_lines, long_lines, LINE_MAX, "lines were left out");
        }
        self.told.broken = broken || (self.told.broken && self.requests == 0);
        if skipped_bytes > 0 && !self.told.skipped {
            tracing::warn!(
                %file,
                skipped_bytes,
                "the access log grows faster than it is read: what was read stands for the rest"
            );
        }
        self.told.skipped = skipped_bytes > 0;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use super::*;

    const REST: &str = "- - [22/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 612\n";

    fn write(path: &Path, text: &str) {
        let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn start(path: &Path) -> AccessLog {
        let settings =
            AccessLogSettings { path: path.to_owned(), prefix_ipv4: 24, prefix_ipv6: 48 };
        AccessLog::new(settings, Some("http://127.0.0.1/status"), Time::from_secs(10))
    }

    fn told(counts: &RequestCounts) -> Vec<(&str, u64)> {
        counts.domains.iter().map(|it| (it.domain.as_str(), it.queries)).collect()
    }

    #[test]
    fn requests_are_counted_by_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        write(&path, &format!("192.0.2.1 {REST}"));
        let mut log = start(&path);
        for client in ["198.51.100.1", "2001:db8:1:2::3", "::ffff:198.51.100.9", "no.address"] {
            write(&path, &format!("{client} {REST}"));
        }
        write(&path, "127.0.0.1 - - [x] \"GET /status HTTP/1.1\" 200 9\n");
        log.look();
        write(&path, &format!("198.51.100.255 {REST}"));
        log.look();
        assert_eq!(log.broken_lines, 1);
        let counts = log.take(Time::from_secs(12)).unwrap();
        assert_eq!(told(&counts), [("198.51.100.0/24", 3), ("2001:db8:1::/48", 1)]);
        assert_eq!((counts.duration_ms, counts.rest), (2000, 0));
        let nothing = log.take(Time::from_secs(13)).unwrap();
        assert_eq!((told(&nothing), nothing.duration_ms), (vec![], 1000));
    }

    #[test]
    fn a_flood_of_clients_is_bounded_and_no_request_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        write(&path, "");
        let mut log = start(&path);
        let mut text = String::new();
        for client in 0..20_000_u32 {
            let heavy = std::net::Ipv4Addr::from_bits(0xc000_0201);
            let other = std::net::Ipv4Addr::from_bits(client << 8 | 1);
            text.push_str(&format!("{other} {REST}"));
            if client % 10 == 0 {
                text.push_str(&format!("{heavy} {REST}"));
            }
        }
        write(&path, &text);
        log.look();
        let counts = log.take(Time::from_secs(20)).unwrap();
        assert_eq!(counts.domains.len(), RequestCounts::DOMAINS_MAX);
        assert_eq!(counts.domains[0].domain, "192.0.2.0/24");
        assert!((2_000..2_010).contains(&counts.domains[0].queries), "{:?}", counts.domains[0]);
        let all: u64 = counts.domains.iter().map(|it| it.queries).sum();
        assert_eq!(all + counts.rest, 22_000);
    }

    #[test]
    fn what_was_skipped_is_stood_for_by_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        write(&path, "");
        let mut log = start(&path);
        let line = format!("198.51.100.1 {REST}");
        let times = 3 * usize::try_from(tail::BYTES_PER_LOOK).unwrap() / line.len();
        write(&path, &line.repeat(times));
        log.look();
        let counts = log.take(Time::from_secs(20)).unwrap();
        let found = counts.domains[0].queries as f64 / times as f64;
        assert!((found - 1.0).abs() < 0.001, "{found}");
    }

    #[test]
    fn the_longest_counts_fit_into_a_message() {
        let address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".to_owned();
        let longest = DomainCount { domain: address, queries: u64::MAX, error: u64::MAX };
        let report = walrus_core::world::Report {
            server: "x".repeat(63).parse().unwrap(),
            session: u64::MAX,
            sequence: u64::MAX,
            unit_ms: u64::MAX,
            sent_unix_ms: u64::MAX,
            version: Some("x".repeat(200)),
            requests: Some(RequestCounts {
                duration_ms: u64::MAX,
                domains: vec![longest; RequestCounts::DOMAINS_MAX],
                rest: u64::MAX,
            }),
            body: walrus_core::world::ReportBody::Panic { reason: "x".repeat(1000) },
        };
        let message = walrus_core::message::Message::Report(report);
        let length = walrus_core::message::encode(&message).len();
        assert!(length <= walrus_host::frame::FRAME_MAX, "{length}");
    }

    #[test]
    fn without_a_file_nothing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut log = start(&path);
        assert_eq!(log.take(Time::from_secs(11)), None);
        write(&path, &format!("198.51.100.1 {REST}"));
        log.look();
        assert_eq!(told(&log.take(Time::from_secs(12)).unwrap()), [("198.51.100.0/24", 1)]);
        std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        log.look();
        assert!(log.take(Time::from_secs(13)).is_some(), "the old one is still open");
    }
}
