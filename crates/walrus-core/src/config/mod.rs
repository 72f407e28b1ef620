//! Text in; a checked configuration and *all* problems out.
//!
//! Each setting is defined once, in a table under `settings`: from it come the parser, the
//! reference page and the commented example. The walk over the TOML document is our own, since
//! one that stops at the first error would not tell all problems at once.

mod canon;
mod clients;
mod configuration;
mod countries;
mod datagram;
mod dnstap_output;
mod example;
mod findings;
mod identities;
mod moving_zones;
mod parse;
mod prefix;
mod published;
mod reference;
mod reference_to;
mod replace;
mod scalar;
mod section;
mod setting;
mod settings;
mod suggest;
mod tsig_key;
mod vantage_points;
mod walk;
mod zone_transfers;

pub use configuration::{
    AccessLogSettings, ApiSettings, Configuration, ControlSettings, DnsSettings, DnssecSettings,
    GeoSettings, GroupSettings, LogFormat, LogSettings, NatsAuthentication, NatsSettings,
    NodeSettings, NotifySettings, Problem, ReporterSettings, ReporterSource, Roles, SandboxMode,
    ZoneDnssec, ZoneSettings, ZoneUpdates,
};
pub use dnstap_output::DnstapOutput;
pub use example::commented_example;
pub use findings::SourceFile;
pub use identities::IdentitySettings;
pub use moving_zones::{CatalogSettings, PrimarySettings};
pub use parse::{Parsed, parse, parse_with};
pub use published::{NameServerSettings, PublishedService, UpdateTransport};
pub use reference::reference_page;
pub use replace::Replacement;
pub use settings::rate_limit::RateLimitSettings;
pub use tsig_key::{TsigAlgorithm, TsigKey};
pub use zone_transfers::{
    NotifyTarget, SerialPolicy, TransferRule, TransferredServices, ZoneTransfers,
};

/// Other TOML files of settings than the configuration (the simulator's studies), by the same tables,
/// walk and findings.
pub mod settings_file {
    pub use super::findings::{Findings, Place};
    pub use super::parse::read_settings;
    pub use super::reference::reference_tables;
    pub use super::section::{Section, Value};
    pub use super::setting::{Default, Group, Kind, Scope, Setting};
    pub use super::settings::ROOT as CONFIGURATION;
    pub use super::suggest::did_you_mean;
}

/// What a configuration needs from outside its own text.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The host's name, for `node.name`; empty if unknown.
    pub hostname: &'a str,
    /// The content of a client file that an area names, relative to the configuration; the error
    /// says for people why there is none ("no such file").
    pub read: &'a dyn Fn(&str) -> Result<String, String>,
}
