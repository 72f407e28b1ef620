//! What a setting is: the one definition behind the parser, the reference page and the example.

/// A section of the configuration with all its settings.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// As it stands in the file: `[dns]`, `[[cluster]]`.
    pub header: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// Whether it belongs to the shared part (the same on every node) or to this node.
    pub scope: Scope,
    /// Its settings in the order of the reference page.
    pub settings: &'static [Setting],
}

impl Group {
    /// The setting of this name.
    pub(super) fn setting(&self, name: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }
}

/// Whether a section is the same on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The same on every node; its digest is the configuration's number.
    Shared,
    /// This node's own.
    Local,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key.
    pub name: &'static str,
    /// What may be written.
    pub kind: Kind,
    /// What holds if nothing is written.
    pub default: Default,
    /// What it means: one or more sentences.
    pub meaning: &'static str,
    /// A value to copy, as TOML.
    pub example: &'static str,
}

/// What holds if a setting is not written.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// It must be written.
    Required,
    /// This, as TOML.
    Value(&'static str),
    /// Something that no literal says; for people.
    Otherwise(&'static str),
    /// Likewise, and it goes with only some of the section's other settings, as this says.
    Apart(&'static str),
}

/// What may be written for a setting.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// Any text but the empty one.
    Text,
    /// The path of a file or directory.
    Path,
    /// An `http://` or `https://` URL without user and password.
    Url,
    /// A URL of this scheme with `{address}` for the server's address.
    ProbeUrl(&'static str),
    /// A [`crate::world::Name`].
    Name,
    /// A domain name.
    Domain,
    /// An IPv4 or IPv6 address that a machine can have.
    Address,
    /// An address and a port; this port if none is written.
    Endpoint(u16),
    /// A host name or address and a port; this port if none is written.
    HostPort(u16),
    /// A whole number within these bounds.
    Count(u64, u64),
    /// A number within these bounds.
    Number(f64, f64),
    /// A number or a percentage within these bounds.
    Share(f64, f64),
    /// A time within these bounds, in milliseconds.
    Duration(u64, u64),
    /// A time of whole seconds within these bounds, in seconds.
    Seconds(u32, u32),
    /// HTTP status codes and ranges of them.
    Status,
    /// Exactly this text.
    Word(&'static str),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// An array of these.
    List(&'static Self),
    /// An array of these or just one.
    OneOrMany(&'static Self),
    /// A table from names to names.
    Names,
    /// A table from any keys to these.
    Table(&'static Self),
    /// A table from dotted paths of settings to what shall stand there instead.
    Replacements,
    /// Latitude and longitude.
    Coordinates,
    /// The first of these whose TOML type fits.
    Either(&'static [Self]),
    /// A table with settings of its own.
    Section(&'static Group),
    /// An array of tables with settings of their own.
    Sections(&'static Group),
}

impl Kind {
    /// What may be written, as the end of "must be ...".
    pub(super) fn description(&self) -> String {
        match self {
            Self::Flag => "true or false".into(),
            Self::Text => "a text".into(),
            Self::Path => "a path".into(),
            Self::Url => "an http:// or https:// URL".into(),
            Self::ProbeUrl(scheme) => format!("a URL such as \"{scheme}://{{address}}/healthz\""),
            Self::Name => "a name (1 to 63 of a-z, 0-9 and `-`)".into(),
            Self::Domain => "a domain name".into(),
            Self::Address => "an IPv4 or IPv6 address".into(),
            Self::Endpoint(port) => {
                format!("an address and port (port {port} if none is written)")
            }
            Self::HostPort(port) => {
                format!("a host and port (port {port} if none is written)")
            }
            Self::Count(min, max) => format!("a whole number from {min} to {max}"),
            Self::Number(min, max) if *max == f64::MAX => format!("a number from {min}"),
            Self::Number(min, max) => format!("a number from {min} to {max}"),
            Self::Share(min, max) => {
                format!("a share from {min} to {max} (0.8 or \"80%\")")
            }
            Self::Duration(min, max) => {
                format!("a time from {} to {}", duration_text(*min), duration_text(*max))
            }
            Self::Seconds(min, max) => format!(
                "a time of whole seconds from {} to {}",
                duration_text(u64::from(*min) * 1000),
                duration_text(u64::from(*max) * 1000)
            ),
            Self::Status => "status codes such as \"200-299,304\"".into(),
            Self::Word(word) => format!("\"{word}\""),
            Self::OneOf(words) => alternatives(words.iter().map(|word| format!("\"{word}\""))),
            Self::List(kind) => format!("a list, each {}", kind.description()),
            Self::OneOrMany(kind) => {
                let one = kind.description();
                format!("{one}, or a list of such")
            }
            Self::Names => "a table of names such as { europe = \"frankfurt\" }".into(),
            Self::Table(kind) => format!("a table, each entry {}", kind.description()),
            Self::Replacements => {
                "a table of settings such as { \"service.choose\" = \"rr2\" }".into()
            }
            Self::Coordinates => {
                "a latitude from -90 to 90 and a longitude from -180 to 180, such as [50.11, 8.68]"
                    .into()
            }
            Self::Either(kinds) => alternatives(kinds.iter().map(Self::description)),
            Self::Section(group) => format!("a table ({})", group.header),
            Self::Sections(group) => format!("a list of tables ({})", group.header),
        }
    }
}

fn alternatives(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    match texts.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// A time as it is written, in the greatest unit that says it without a fraction.
pub(super) fn duration_text(milliseconds: u64) -> String {
    for (unit, suffix) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if milliseconds >= unit && milliseconds.is_multiple_of(unit) {
            return format!("{}{suffix}", milliseconds / unit);
        }
    }
    if milliseconds == 0 { "0s".into() } else { format!("{milliseconds}ms") }
}
