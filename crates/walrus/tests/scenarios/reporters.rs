//! Reporters that say what the scenario wants, over the group's real connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use walrus_core::message::{Hello, Message, Role, VERSION, decode, encode};
use walrus_core::world::{Name, Report, Topology};
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
        let reporter = |server: &walrus_core::world::Server| {
            server.reporter.then(|| Reporter {
                server: server.name.clone(),
                session: 0,
                sequence: 0,
                state: ServerState::Busy { busy: 0, max: 10 },
                stream: None,
            })
        };
        let mut all = Self {
            address,
            token: token.to_owned(),
            reporters: topology.servers.iter().map(reporter).collect(),
        };
        for reporter in all.reporters.iter_mut().flatten() {
            reporter.dial(address, token);
        }
        all
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
        reporter.report();
    }

    pub(crate) fn report_all(&mut self) {
        for reporter in self.reporters.iter_mut().flatten() {
            reporter.report();
        }
    }
}

impl Reporter {
    fn dial(&mut self, address: SocketAddr, token: &str) {
        let mut stream = TcpStream::connect(address).expect("the group listens");
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
            program: "scenario".to_owned(),
        };
        send(&mut stream, &Message::Hello(hello));
        match receive(&mut stream) {
            Message::Hello(_) => {}
            other => panic!("{} was answered {other:?}", self.server),
        }
        self.stream = Some(stream);
    }

    /// Says the state, and waits until it is taken in.
    fn report(&mut self) {
        let (Some(body), Some(stream)) = (body_of(&self.state), self.stream.as_mut()) else {
            return;
        };
        self.sequence += 1;
        let report = Report {
            server: self.server.clone(),
            session: self.session,
            sequence: self.sequence,
            unit_ms: 1000,
            sent_unix_ms: 0,
            version: None,
            body,
        };
        send(stream, &Message::Report(report));
        match receive(stream) {
            Message::Taken { sequence, .. } => assert_eq!(sequence, self.sequence),
            other => panic!("{}'s report was answered {other:?}", self.server),
        }
    }
}

fn send(stream: &mut TcpStream, message: &Message) {
    let bytes = encode(message);
    let len = u32::try_from(bytes.len()).unwrap();
    stream.write_all(&len.to_be_bytes()).unwrap();
    stream.write_all(&bytes).unwrap();
}

fn receive(stream: &mut TcpStream) -> Message {
    let mut len = [0; 4];
    stream.read_exact(&mut len).expect("an answer from the group");
    let mut bytes = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut bytes).unwrap();
    decode(&bytes).unwrap()
}
