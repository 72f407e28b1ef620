//! Text in; a checked configuration and *all* problems out.

mod configuration;

pub use configuration::{
    ApiSettings, Configuration, ControlSettings, DnsSettings, GeoSettings, GroupSettings,
    LogFormat, LogSettings, NodeSettings, NotifySettings, Problem, ReporterSettings,
    ReporterSource, Roles, ZoneSettings,
};
