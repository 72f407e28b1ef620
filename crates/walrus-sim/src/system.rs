//! What a scenario runs against.

use std::net::IpAddr;
use std::time::Duration;

/// A whole Walrus, live or virtual, that a scenario acts on and looks at.
///
/// Every method returns when all that it set off has come to rest.
pub trait System {
    /// Puts a server into a state; its Reporter says so each unit from now on.
    ///
    /// # Errors
    /// If there is no such server or cluster, or the system is out of reach.
    fn set(&mut self, target: &str, state: &ServerState) -> Result<(), SystemError>;

    /// Lets time pass.
    ///
    /// # Errors
    /// If the system is out of reach.
    fn pass(&mut self, duration: Duration) -> Result<(), SystemError>;

    /// Drains a server or cluster; `Ok(false)` if that is refused.
    ///
    /// # Errors
    /// If there is no such server or cluster, or the system is out of reach.
    fn drain(&mut self, target: &str, force: bool) -> Result<bool, SystemError>;

    /// Takes a drain back.
    ///
    /// # Errors
    /// If there is no such server or cluster, or the system is out of reach.
    fn undrain(&mut self, target: &str) -> Result<(), SystemError>;

    /// Puts another configuration in force; `Ok(false)` if that is refused.
    ///
    /// # Errors
    /// If the system is out of reach.
    fn reload(&mut self, config: &str) -> Result<bool, SystemError>;

    /// Ends Controller and name server without notice and starts them from what is stored.
    ///
    /// # Errors
    /// If they do not come back.
    fn restart(&mut self) -> Result<(), SystemError>;

    /// Lets time pass while Controller and name server stand still, and lets them go on.
    ///
    /// # Errors
    /// If the system is out of reach.
    fn stop(&mut self, duration: Duration) -> Result<(), SystemError>;

    /// Asks, and gives the reply's bytes.
    ///
    /// # Errors
    /// If the question makes no query, or no reply comes.
    fn ask(&mut self, question: &Question) -> Result<Vec<u8>, SystemError>;

    /// How things stand.
    ///
    /// # Errors
    /// If the system is out of reach.
    fn look(&mut self) -> Result<Seen, SystemError>;
}

/// What a scenario could not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SystemError(pub String);

/// What a server's Reporter says and how its probes fare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Functions, with so many requests at once of so many that it can serve.
    Busy {
        /// Requests being served.
        busy: u64,
        /// Requests that could be served at once.
        max: u64,
    },
    /// Its Reporter could not gather.
    TempFail(String),
    /// Its Reporter asks to be left out.
    Bypass(String),
    /// Its Reporter asks to be left out and for a person.
    Panic(String),
    /// Its Reporter says nothing; its probes succeed.
    Silent,
    /// Its Reporter's connection closes; its probes are refused.
    Killed,
    /// Nothing from it arrives and nothing reaches it.
    Cut,
    /// Its Reporter is well; its probes time out.
    Slow,
}

/// One question to the name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name.
    pub name: String,
    /// The type as text.
    pub record_type: String,
    /// The address that asks.
    pub client: IpAddr,
    /// An ECS prefix, if sent.
    pub subnet: Option<(IpAddr, u8)>,
    /// The name server's address that is asked, if it matters.
    pub server: Option<IpAddr>,
}

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// In the order of names.
    pub servers: Vec<SeenServer>,
    /// In the order of services and areas.
    pub areas: Vec<SeenArea>,
    /// What people were told since the start: kind, subject, whether it is over.
    pub notices: Vec<(String, String, bool)>,
}

/// How a server fares.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenServer {
    /// Its name.
    pub name: String,
    /// Lower case.
    pub life: String,
    /// 0 to 1, if known.
    pub load: Option<f64>,
}

/// Where an area points.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenArea {
    /// The service.
    pub service: String,
    /// The area.
    pub area: String,
    /// Clusters with their shares; the first is where it points.
    pub clusters: Vec<(String, f64)>,
    /// Which phase or rule decided.
    pub reason: String,
}
