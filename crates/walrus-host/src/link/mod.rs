//! The other side of the group: a Reporter keeps a connection to a Controller and says how that
//! goes; a name server asks the node that it follows.

mod bus;
mod credentials;
mod dialer;
mod local;
mod node;
mod unheard;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use walrus_core::config::ReporterSettings;
use walrus_core::message::{Hello, Message, Role, VERSION};
use walrus_core::world::{Name, Report, Time};

use crate::bus::Bus;
use crate::clock::{Busy, Clock};
use crate::group::GroupEvent;
use crate::shutdown::Shutdown;
use crate::tls::TlsError;
use credentials::Credentials;
use dialer::Dialer;
pub use node::{NodeConnection, NodeLink};
use unheard::{News, Unheard};

/// What Controllers say of reports over the bus and was not looked at yet.
const ANSWERS_MAX: usize = 64;

/// A connection to one of the Controllers that is made again whenever it is lost.
///
/// Of reports that could not be sent only the newest is kept: an old one is of no use to anybody.
/// It is sent again on a new connection, so that the Controller, to whom a lost connection is
/// silence, need not wait for the next unit. The link therefore has the last word on sequence
/// numbers: it raises a report's where it must to keep them rising.
#[derive(Debug)]
pub struct Link {
    newest: watch::Sender<Option<Arc<Queued>>>,
    status: Arc<Mutex<LinkStatus>>,
    unheard: Mutex<Unheard>,
    clock: Clock,
    local: bool,
}

/// A report that waits to be sent.
#[derive(Debug)]
struct Queued {
    report: Report,
    at: Time,
    /// Taken over by whoever sends it. Only a local link holds a manual clock still: a Controller
    /// behind a socket may be away for any time.
    busy: Mutex<Option<Busy>>,
}

type Newest = watch::Receiver<Option<Arc<Queued>>>;

/// How a link fares, for people and for the age of what the Controller knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkStatus {
    /// The Controller that is connected to; `None` between connections.
    pub controller: Option<String>,
    /// (session, sequence) of the last report that the Controller took in.
    pub taken: Option<(u64, u64)>,
    /// When it said so, by this machine's clock.
    pub taken_at: Option<Time>,
    /// What went wrong last: unreachable, refused. Cleared when a report is taken in.
    pub problem: Option<String>,
    /// Connections made so far.
    pub connections: u64,
}

impl LinkStatus {
    /// How old the newest report is that the Controller took in; `None` if it never took one.
    #[must_use]
    pub fn staleness(&self, now: Time) -> Option<Duration> {
        self.taken_at.map(|at| now.since(at))
    }
}

impl Link {
    /// A link as configured, kept up by a task until shutdown. `session` goes into the hello and
    /// must be that of the reports. Token and certificate are read at each connection, so that they may be put in
    /// place, or changed, later.
    ///
    /// # Errors
    /// If no Controller is named, or neither token file nor certificate, or an authority or fingerprint will not do.
    pub fn new(
        settings: &ReporterSettings,
        session: u64,
        clock: Clock,
        seed: u64,
        shutdown: Shutdown,
    ) -> Result<Self, LinkError> {
        if settings.controllers.is_empty() {
            return Err(LinkError::NoController);
        }
        if settings.token_file.is_none() && settings.certificate.is_none() {
            return Err(LinkError::NoToken);
        }
        let credentials = Credentials::new(
            settings.fingerprint.as_ref(),
            settings.authority.as_ref(),
            settings.token_file.clone(),
            (settings.certificate.as_ref(), settings.key.as_ref()),
        )?;
        let (link, newest) = Self::with_queue(clock.clone(), false);
        let hello = Hello {
            role: Role::Reporter,
            name: settings.server.clone(),
            session,
            versions: vec![VERSION],
            token: None,
            plan: None,
            refused: None,
            marks: None,
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let dialer = Dialer {
            controllers: settings.controllers.clone(),
            insecure: settings.insecure,
            credentials,
            hello,
            clock,
            status: link.status.clone(),
        };
        tokio::spawn(async move {
            tokio::select! {
                () = dialer.run(newest, seed) => {}
                () = shutdown.requested() => {}
            }
        });
        Ok(link)
    }

    /// A link to a Controller in the same process: no socket, no token. The other Controllers of the
    /// group hear the same reports over the bus.
    #[must_use]
    pub fn local(
        server: Name,
        session: u64,
        events: mpsc::Sender<GroupEvent>,
        others: Option<Bus>,
        clock: Clock,
        shutdown: Shutdown,
    ) -> Self {
        let (link, newest) = Self::with_queue(clock.clone(), true);
        let status = link.status.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = local::speak((server, session), (events, others), clock, newest, status) => {}
                () = shutdown.requested() => {}
            }
        });
        link
    }

    /// A link over the bus, to all Controllers of the group. What they answer is to be put into the
    /// queue that comes with it.
    #[must_use]
    pub fn over_bus(bus: Bus, clock: Clock, shutdown: Shutdown) -> (Self, mpsc::Sender<Message>) {
        let (link, newest) = Self::with_queue(clock.clone(), false);
        let status = link.status.clone();
        let (answers, queue) = mpsc::channel(ANSWERS_MAX);
        tokio::spawn(async move {
            tokio::select! {
                () = bus::speak(bus, queue, clock, newest, status) => {}
                () = shutdown.requested() => {}
            }
        });
        (link, answers)
    }

    fn with_queue(clock: Clock, local: bool) -> (Self, Newest) {
        let (newest, receiver) = watch::channel(None);
        let unheard = Mutex::new(Unheard::new(clock.now()));
        (Self { newest, status: Arc::default(), unheard, clock, local }, receiver)
    }

    /// Sends a report as soon as there is a connection, in place of any that still waits. Never
    /// waits itself.
    pub fn send(&self, report: Report) {
        if !self.local {
            self.tell_staleness(&report);
        }
        let busy = Mutex::new(self.local.then(|| self.clock.activity().begin()));
        let queued = Queued { report, at: self.clock.now(), busy };
        self.newest.send_replace(Some(Arc::new(queued)));
    }

    /// In the log, now and then: how old the newest report is that anybody took in.
    fn tell_staleness(&self, report: &Report) {
        let LinkStatus { controller, taken_at, problem, .. } = self.status();
        let mut unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        match unheard.look(self.clock.now(), taken_at, report.unit()) {
            Some(News::Unheard(lasts)) => tracing::warn!(
                server = %report.server,
                seconds = lasts.as_secs(),
                connected_to = controller.as_deref().unwrap_or("nobody"),
                problem = problem.as_deref().unwrap_or("none known"),
                "no Controller has taken a report in for so long: this server counts as silent"
            ),
            Some(News::HeardAgain(lasted)) => tracing::info!(
                server = %report.server,
                seconds = lasted.as_secs(),
                "reports are taken in again"
            ),
            None => {}
        }
    }

    /// How it fares.
    #[must_use]
    pub fn status(&self) -> LinkStatus {
        lock(&self.status).clone()
    }
}

fn lock(status: &Mutex<LinkStatus>) -> MutexGuard<'_, LinkStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nobody to connect to.
    #[error("[reporter] names no Controller: write `controllers = [\"host:port\"]`")]
    NoController,
    /// Nothing to prove itself with.
    #[error(
        "[reporter] names no `token_file` and no `certificate`: put the Reporter's token, or a copy of \
         the Controller's `reporter-token`, on this machine and name it"
    )]
    NoToken,
    /// An authority or fingerprint that will not do.
    #[error(transparent)]
    Tls(#[from] TlsError),
}
