//! What a checked configuration holds.
//!
//! The shared part (zones, topology, control, notify) is the same on every node and its digest is
//! the configuration's number; the rest is local to the node. Secrets are named by file, never
//! held here.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use walrus_dns::DomainName;

use super::dnstap_output::DnstapOutput;
use super::{
    CatalogSettings, IdentitySettings, NameServerSettings, PrimarySettings, RateLimitSettings,
    TsigKey, ZoneTransfers,
};
use crate::world::{
    Algorithm, Denial, Digest, IdentityRole, KeyLayout, LoadFormula, Name, Topology,
};

/// A configuration without problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Digest of the shared part.
    pub digest: Digest,
    /// The zones that the name server is authoritative for, in the order of the file.
    pub zones: Vec<ZoneSettings>,
    /// How zones are signed.
    pub dnssec: DnssecSettings,
    /// Servers, clusters, areas and services.
    pub topology: Topology,
    /// How the Controller decides.
    pub control: ControlSettings,
    /// Where countries and continents come from.
    pub geo: GeoSettings,
    /// Who is told.
    pub notify: NotifySettings,
    /// What this node is.
    pub node: NodeSettings,
    /// The name server.
    pub dns: DnsSettings,
    /// How Reporters reach the Controller.
    pub group: GroupSettings,
    /// Who may speak for whom, by a token or certificate of its own.
    pub identities: Vec<IdentitySettings>,
    /// Keys that other name servers and clients know as well; zones refer to them by name.
    pub keys: Vec<TsigKey>,
    /// Lists of zones that come from other name servers as well. Local.
    pub catalogs: Vec<CatalogSettings>,
    /// Name servers that are already there, in which this node keeps services up to date.
    pub name_servers: Vec<NameServerSettings>,
    /// The API.
    pub api: ApiSettings,
    /// The log.
    pub log: LogSettings,
    /// What a Reporter on this node gathers; required by the role `reporter`.
    pub reporter: Option<ReporterSettings>,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSettings {
    /// The apex.
    pub apex: DomainName,
    /// Name servers for the NS records of a zone without a file.
    pub nameservers: Vec<DomainName>,
    /// A standard zone file; without one, SOA and NS are made from `nameservers`.
    pub file: Option<PathBuf>,
    /// Other name servers that it comes from, in the order in which they are asked. Local.
    pub primaries: Vec<PrimarySettings>,
    /// Whether it is signed, with the default of `[dnssec]` filled in.
    pub dnssec: ZoneDnssec,
    /// Who may change it by DNS UPDATE. Local.
    pub updates: Vec<ZoneUpdates>,
    /// To whom it is transferred. Local.
    pub transfers: ZoneTransfers,
}

/// What a key may change in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneUpdates {
    /// The key's name.
    pub key: DomainName,
    /// Names that may be changed. With neither these nor `below` all may.
    pub names: Vec<DomainName>,
    /// Names that may be changed with all below them.
    pub below: Vec<DomainName>,
    /// Numbers of types that may be changed; empty: all.
    pub types: Vec<u16>,
    /// TXT alone, at names that begin with `_acme-challenge`.
    pub acme: bool,
}

/// Whether a zone is signed, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZoneDnssec {
    /// It is served unsigned; DNSSEC records of its file are left out.
    #[default]
    Off,
    /// By us.
    Sign,
    /// By somebody else: what its file has is served as it is. No service lives in it.
    Keep,
}

/// How zones are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnssecSettings {
    /// Whether zones are signed that do not say otherwise; each zone's `dnssec` has it already.
    pub sign: bool,
    /// Of new keys.
    pub algorithm: Algorithm,
    /// Which keys a zone has.
    pub keys: KeyLayout,
    /// How a zone proves that a name or type is not there.
    pub denial: Denial,
    /// TTL of the DNSKEY, CDS and CDNSKEY sets, in seconds.
    pub dnskey_ttl: u32,
    /// Time between two signatures of one set.
    pub renew_every: Duration,
    /// How long a signature is valid; at least twice `renew_every`.
    pub valid_for: Duration,
    /// The most answer sets that are signed ahead, of all services together.
    pub answer_sets_max: usize,
    /// The age at which a CSK or KSK is rolled over; `None`: only by hand.
    pub roll_ksk_every: Option<Duration>,
    /// The age at which a ZSK is rolled over.
    pub roll_zsk_every: Duration,
    /// Added to each wait of a roll-over.
    pub roll_margin: Duration,
    /// All nodes that serve the zones; empty: each by itself.
    pub nodes: Vec<Name>,
    /// Whether this node makes keys and rolls them over. Local.
    pub signer: bool,
    /// Whom to ask for the zones' DS records; empty: the system's resolvers. Local.
    pub parent: Vec<SocketAddr>,
}

impl Default for DnssecSettings {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            sign: false,
            algorithm: Algorithm::default(),
            keys: KeyLayout::default(),
            denial: Denial::default(),
            dnskey_ttl: 3600,
            renew_every: days(7),
            valid_for: days(21),
            answer_sets_max: 100_000,
            roll_ksk_every: None,
            roll_zsk_every: days(90),
            roll_margin: Duration::from_secs(3600),
            nodes: Vec::new(),
            signer: true,
            parent: Vec::new(),
        }
    }
}

/// How the Controller decides (papers: thesis chapter 6; resolutions A1 to A26).
#[derive(Clone, Debug, PartialEq)]
pub struct ControlSettings {
    /// Time between two rounds (balancing).
    pub round: Duration,
    /// Missed reporting units after which a silent Reporter's server is dead (A17).
    pub missed_units: u32,
    /// TEMPFAILs in a row after which a server counts as silent (A15).
    pub tempfail_rounds: u32,
    /// How statistics become a load (A1).
    pub load: LoadFormula,
    /// How long a server that comes back takes to full weight; zero is at once.
    pub server_ramp: Duration,
    /// How many rounds the journal keeps.
    pub journal_rounds: u32,
    /// Whom to ask for the targets of aliases; none for the system's own resolvers.
    pub resolvers: Vec<SocketAddr>,
    /// A Controller of the group that was silent for so long counts as gone; three heartbeats.
    pub detection: Duration,
    /// What a vantage point saw counts until it was silent for so long.
    pub sights_last: Duration,
}

impl Default for ControlSettings {
    fn default() -> Self {
        Self {
            round: Duration::from_secs(60),
            missed_units: 2,
            tempfail_rounds: 3,
            load: LoadFormula::default(),
            server_ramp: Duration::from_secs(60),
            journal_rounds: 1440,
            resolvers: Vec::new(),
            detection: Duration::from_secs(3),
            sights_last: Duration::from_secs(10),
        }
    }
}

/// Where countries and continents come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeoSettings {
    /// An `.mmdb` file of either common schema, if any area names a country or continent.
    pub database: Vec<PathBuf>,
}

/// Who is told of PANIC, death and "nobody functions".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifySettings {
    /// Gets a JSON POST.
    pub webhook: Option<String>,
    /// Run with the notice as JSON on its standard input.
    pub command: Option<Vec<String>>,
    /// An unchanged problem is told again after this (A18).
    pub again: Duration,
    /// A dead server is told of after this.
    pub dead_after: Duration,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            webhook: None,
            command: None,
            again: Duration::from_secs(3600),
            dead_after: Duration::from_secs(300),
        }
    }
}

/// What this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// Unique among Controllers and Directors; default the host's name.
    pub name: Name,
    /// What runs here.
    pub roles: Roles,
    /// Where the last Plan, epoch, overrides, keys and journals are kept.
    pub state: PathBuf,
    /// Whether it probes servers, and tells the group how it sees them.
    pub probes: bool,
    /// The unprivileged user that the process becomes; `None`: it stays who it is.
    pub user: Option<String>,
    /// Its group; `None`: the user's own.
    pub group: Option<String>,
    /// Whether a process that is nothing but a name server is put into a sandbox.
    pub sandbox: SandboxMode,
}

/// Whether a process that is nothing but a name server is put into a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// As far as the kernel can; what it cannot is told in the log.
    #[default]
    Auto,
    /// Not at all.
    Off,
    /// It does not start unless all of it can be enforced.
    Required,
}

/// What runs on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// The Controller.
    pub controller: bool,
    /// The name server.
    pub director: bool,
    /// A Reporter for the web server on this machine.
    pub reporter: bool,
    /// Keeps services up to date in name servers that are already there.
    pub updater: bool,
}

impl Roles {
    /// Whether the process only answers: it starts no programs, and knows beforehand which files and peers
    /// it needs.
    #[must_use]
    pub const fn is_director_alone(&self) -> bool {
        self.director && !self.controller && !self.reporter && !self.updater
    }
}

/// The name server.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsSettings {
    /// UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Threads; default one a core.
    pub workers: Option<usize>,
    /// The most bytes that a UDP answer may have (EDNS), at most 1232 by default.
    pub udp_size_max: u16,
    /// Connections that TCP serves at once.
    pub tcp_connections_max: usize,
    /// How long a TCP connection may be idle.
    pub tcp_idle: Duration,
    /// How long a connection may last.
    pub tcp_total: Duration,
    /// DNS over TLS.
    pub tls_listen: Vec<SocketAddr>,
    /// DNS over HTTPS.
    pub https_listen: Vec<SocketAddr>,
    /// PEM certificate chain for both.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// What the server calls itself to whoever asks by NSID (RFC 5001).
    pub nsid: Option<String>,
    /// What `id.server` and `hostname.bind` are answered with (RFC 4892).
    pub id_server: Option<String>,
    /// What `version.server` and `version.bind` are answered with.
    pub version: Option<String>,
    /// Whether cookies are given (RFC 7873).
    pub cookies: bool,
    /// Holds their secret; without one it is drawn at each start.
    pub cookie_secret_file: Option<PathBuf>,
    /// Whose messages begin with a PROXY header.
    pub proxy_from: Vec<(IpAddr, u8)>,
    /// How many replies a network gets by UDP; without it there is no limit.
    pub rate_limit: Option<RateLimitSettings>,
    /// Bytes that a zone's names and records may take.
    pub zone_memory_max: usize,
    /// Heaviest domains told in an observation.
    pub observe_domains: usize,
    /// Time between two observations.
    pub observe_every: Duration,
    /// Decision log in JSON lines, if wanted.
    pub decision_log: Option<PathBuf>,
    /// One query in so many goes into the decision log.
    pub decision_log_sample: u32,
    /// Where all queries and replies are told by dnstap, if anywhere.
    pub dnstap: Option<DnstapOutput>,
}

/// How Reporters reach the Controller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSettings {
    /// Where the Controller listens for Reporters.
    pub listen: Vec<SocketAddr>,
    /// Speak plaintext off loopback.
    pub insecure: bool,
    /// PEM certificate chain; without one the Controller makes a self-signed one in its state.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// Holds the token that Reporters must bring; default `STATE/reporter-token`, made at first
    /// start.
    pub token_file: Option<PathBuf>,
    /// Whether those tokens are taken that many share; without a word, as long as nobody of the role
    /// has something of its own.
    pub shared_token: Option<bool>,
    /// PEM file of the authorities whose certificates prove who connects.
    pub client_authority: Option<PathBuf>,
    /// PEM file of the certificates that they took back.
    pub client_revocations: Option<PathBuf>,
    /// The node that this one follows: `host:port` of its group.
    pub join: Option<String>,
    /// Holds the token that nodes bring to each other; default `STATE/node-token`, made at first
    /// start where the group listens.
    pub node_token_file: Option<PathBuf>,
    /// PEM file of the certificates to trust there.
    pub authority: Option<PathBuf>,
    /// SHA-256 of the one certificate to trust there.
    pub fingerprint: Option<String>,
    /// PEM file of the certificate that this node shows there; goes with `join_key`.
    pub join_certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub join_key: Option<PathBuf>,
    /// The group over NATS.
    pub nats: Option<NatsSettings>,
}

impl GroupSettings {
    /// Whether the token that all of a role share is taken from those who have nothing of their own.
    #[must_use]
    pub fn takes_shared_token(&self, role: IdentityRole, identities: &[IdentitySettings]) -> bool {
        self.shared_token.unwrap_or_else(|| {
            self.client_authority.is_none() && !identities.iter().any(|it| it.role == role)
        })
    }
}

/// How this node takes part in a group over NATS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsSettings {
    /// `host:port` of each NATS server, the nearest first; at least one.
    pub servers: Vec<String>,
    /// What all subjects begin with: words with dots between them.
    pub prefix: String,
    /// How this node proves who it is.
    pub authentication: NatsAuthentication,
    /// PEM file of the certificates to trust; the public ones by default.
    pub authority: Option<PathBuf>,
    /// PEM file of this node's own certificate; goes with `key`.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// Plaintext off loopback too.
    pub insecure: bool,
}

impl NatsSettings {
    /// Whether nothing may be said to this server but over TLS.
    #[must_use]
    pub fn needs_tls(&self, server: &str) -> bool {
        let trust_named = self.authority.is_some() || self.certificate.is_some();
        trust_named || !(self.insecure || is_loopback(server))
    }
}

/// Whether `host:port` is certainly this machine.
pub(super) fn is_loopback(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How a node proves to a NATS server who it is; secrets stand in files alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsAuthentication {
    /// Not at all, or by its certificate.
    None,
    /// By a `.creds` file: JWT and seed.
    Credentials(PathBuf),
    /// By the seed of an nkey.
    Nkey(PathBuf),
    /// By a token that all share.
    Token(PathBuf),
    /// By name and password.
    User {
        /// The name.
        user: String,
        /// Holds the password.
        password_file: PathBuf,
    },
}

impl NatsAuthentication {
    /// The setting that names the file with the secret.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::None | Self::User { .. } => "password_file",
            Self::Credentials(_) => "credentials_file",
            Self::Nkey(_) => "nkey_file",
            Self::Token(_) => "token_file",
        }
    }

    /// The file with the secret.
    #[must_use]
    pub const fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::None => None,
            Self::User { password_file: file, .. }
            | Self::Credentials(file)
            | Self::Nkey(file)
            | Self::Token(file) => Some(file),
        }
    }

    /// The same, to be changed.
    pub const fn file_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::None => None,
            Self::User { password_file: file, .. }
            | Self::Credentials(file)
            | Self::Nkey(file)
            | Self::Token(file) => Some(file),
        }
    }
}

/// The API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiSettings {
    /// Where it listens; loopback by default. `None` switches it off.
    pub listen: Option<SocketAddr>,
    /// Holds this node's own token for what changes state; default `STATE/token`, made at first
    /// start.
    pub token_file: Option<PathBuf>,
    /// Whether a token is wanted for reading as well.
    pub read_needs_token: bool,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// As `RUST_LOG`: "info", "walrus_controller=debug".
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What a Reporter gathers and where it sends it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReporterSettings {
    /// The server that it reports about.
    pub server: Name,
    /// Controllers as `host:port`; empty on a node that is the Controller itself.
    pub controllers: Vec<String>,
    /// Time between two reports, 1 s to 5 min.
    pub unit: Duration,
    /// Web server status, if any.
    pub source: Option<ReporterSource>,
    /// PSI memory `full avg10` above which BYPASS is asked for, 0 to 1.
    pub memory_pressure_max: f64,
    /// ... for so many units.
    pub memory_pressure_units: u32,
    /// While this file exists, BYPASS is asked for; its text is the reason.
    pub bypass_file: Option<PathBuf>,
    /// Data version to carry, if the site sets one: a file that holds it.
    pub version_file: Option<PathBuf>,
    /// The web server's access log, if it is to be read.
    pub access_log: Option<AccessLogSettings>,
    /// Speak plaintext off loopback.
    pub insecure: bool,
    /// PEM certificates to trust instead of the public ones.
    pub authority: Option<PathBuf>,
    /// SHA-256 of the one certificate to trust, hex.
    pub fingerprint: Option<String>,
    /// Holds the token to bring; the parser fills in `STATE/reporter-token` if there is no
    /// certificate either.
    pub token_file: Option<PathBuf>,
    /// PEM file of the certificate to show; goes with `key`.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// Gather CPU, memory and process statistics of this machine (`/proc`).
    pub system: bool,
}

/// An access log in common or combined format, and by which prefixes its clients are counted.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLogSettings {
    /// The file.
    pub path: PathBuf,
    /// Bits of an IPv4 client's prefix.
    pub prefix_ipv4: u8,
    /// Bits of an IPv6 client's prefix.
    pub prefix_ipv6: u8,
}

/// Where web server statistics come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ReporterSource {
    /// Apache `mod_status`: a URL that ends in `?auto`.
    Apache {
        /// The URL.
        url: String,
        /// Requests served at once; default what the scoreboard shows.
        busy_max: Option<u64>,
    },
    /// nginx `stub_status`.
    Nginx {
        /// The URL.
        url: String,
        /// Requests served at once (worker_processes x worker_connections).
        busy_max: Option<u64>,
    },
    /// HAProxy's CSV statistics.
    Haproxy {
        /// A URL that ends in `;csv`.
        url: String,
        /// The proxy (pxname) to read; its FRONTEND or BACKEND row.
        proxy: String,
        /// Overrides the row's `slim`.
        busy_max: Option<u64>,
    },
    /// Any JSON document.
    Json {
        /// The URL.
        url: String,
        /// Dotted path to the total of requests.
        hits: Option<String>,
        /// Dotted path to the requests being served.
        busy: Option<String>,
        /// Dotted path to the requests that can be served at once.
        busy_max: Option<String>,
    },
}

/// One thing wrong with a configuration, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// From 1; 0 if the problem is nowhere in particular.
    pub line: u32,
    /// From 1; 0 if the problem is nowhere in particular.
    pub column: u32,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.message)
        } else {
            write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
        }
    }
}
