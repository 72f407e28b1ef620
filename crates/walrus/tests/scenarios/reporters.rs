//! Reporters that say what the scenario wants, over the group's real connections.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use walrus_core::message::{Hello, Message, Role, VERSION, decode, encode};
use walrus_core::world::{Name, Report, ReportBody, Topology};
use walrus_sim::{ServerState, body_of};

pub(crate) struct Reporters {
    address: SocketAddr,
    token: String,
    /// By the server's place in the topology; `None` for a server without one.
    reporters: Vec<Option<Reporter>>,
}

struct Reporter {
    server: Name,
    session: u64,
    sequence: u64,
    state: ServerState,
    stream: Option<TcpStream>,
}

impl Reporters {
    pub(crate) fn connect(topology: &Topology, address: SocketAddr, token: &str) -> Self {
        let mut all = Self { address, token: token.to_owned(), reporters: Vec::new() };
        all.retarget(topology);
        all
    }

    /// Goes over to another topology; whoever stays keeps its connection and state.
    pub(crate) fn retarget(&mut self, topology: &Topology) {
        let mut old: Vec<Reporter> = self.reporters.drain(..).flatten().collect();
        for server in &topology.servers {
            let known = old.iter().position(|reporter| reporter.server == server.name);
            let reporter = server.reporter.then(|| match known {
                Some(index) => old.swap_remove(index),
                None => {
                    let mut reporter = Reporter::new(&server.name);
                    reporter.dial(self.address, &self.token);
                    reporter
                }
            });
            self.reporters.push(reporter);
        }
    }

    /// Everybody who is not killed connects anew: the program was started again.
    pub(crate) fn dial_all(&mut self) {
        for reporter in self.reporters.iter_mut().flatten() {
            if reporter.stream.is_some() {
                reporter.dial(self.address, &self.token);
            }
        }
    }

    /// The state is said at once; a killed server's connection closes.
    pub(crate) fn set(&mut self, index: usize, state: &ServerState) {
        let Some(reporter) = self.reporters.get_mut(index).and_then(Option::as_mut) else { return };
        reporter.state = state.clone();
        match (state, &reporter.stream) {
            (ServerState::Killed, _) => reporter.stream = None,
            (_, None) => reporter.dial(self.address, &self.token),
            _ => {}
        }
        reporter.report(self.address, &self.token);
    }

    /// Whether time may not pass without a report.
    pub(crate) fn anybody_speaks(&self) -> bool {
        let mut reporters = self.reporters.iter().flatten();
        reporters.any(|it| it.stream.is_some() && body_of(&it.state).is_some())
    }

    pub(crate) fn report_all(&mut self) {
        for reporter in self.reporters.iter_mut().flatten() {
            reporter.report(self.address, &self.token);
        }
    }
}

impl Reporter {
    fn new(server: &Name) -> Self {
        Self {
            server: server.clone(),
            session: 0,
            sequence: 0,
            state: ServerState::Busy { busy: 0, max: 10 },
            stream: None,
        }
    }

    fn dial(&mut self, address: SocketAddr, token: &str) {
        let mut stream = TcpStream::connect(address).expect("the group listens");
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        self.session += 1;
        self.sequence = 0;
        let hello = Hello {
            role: Role::Reporter,
            name: self.server.clone(),
            session: self.session,
            versions: vec![VERSION],
            token: Some(token.to_owned()),
            plan: None,
            refused: None,
            marks: None,
            program: "scenario".to_owned(),
        };
        send(&mut stream, &Message::Hello(hello)).expect("the group reads");
        match receive(&mut stream).expect("an answer from the group") {
            Message::Hello(_) => {}
            other => panic!("{} was answered {other:?}", self.server),
        }
        self.stream = Some(stream);
    }

    /// Says the state, and waits until it is taken in. A connection that was silent for long is
    /// closed by the group: then it dials again, as a Reporter does.
    fn report(&mut self, address: SocketAddr, token: &str) {
        let Some(body) = body_of(&self.state) else { return };
        if self.stream.is_none() {
            return;
        }
        if self.say(body.clone()).is_err() {
            self.dial(address, token);
            self.say(body).expect("a new connection takes a report");
        }
    }

    fn say(&mut self, body: ReportBody) -> io::Result<()> {
        let Some(stream) = self.stream.as_mut() else { return Ok(()) };
        self.sequence += 1;
        let report = Report {
            server: self.server.clone(),
            session: self.session,
            sequence: self.sequence,
            unit_ms: 1000,
            sent_unix_ms: 0,
            version: None,
            body,
            requests: None,
        };
        send(stream, &Message::Report(report))?;
        match receive(stream)? {
            Message::Taken { sequence, .. } => assert_eq!(sequence, self.sequence),
            other => panic!("{}'s report was answered {other:?}", self.server),
        }
        Ok(())
    }
}

fn send(stream: &mut TcpStream, message: &Message) -> io::Result<()> {
    let bytes = encode(message);
    let len = u32::try_from(bytes.len()).unwrap();
    // One write: two small ones would wait for each other's acknowledgement.
    stream.write_all(&[&len.to_be_bytes()[..], &bytes].concat())
}

fn receive(stream: &mut TcpStream) -> io::Result<Message> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let mut bytes = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut bytes)?;
    Ok(decode(&bytes).unwrap())
}
