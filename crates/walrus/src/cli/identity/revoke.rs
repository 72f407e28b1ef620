//! `walrus identity revoke` and `list`: what an authority made, and what it takes back.
//!
//! `issued.jsonl` beside the authority's key has a line for each certificate. It decides nothing: it is there to find a
//! certificate by its name. What was taken back stands in the list itself.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde::{Deserialize, Serialize};
use walrus_core::world::Name;
use walrus_host::clock::Clock;
use walrus_host::state::write_atomically;
use walrus_host::tls::{Revoked, Serial, revocation_list, revoked_in};

use super::{AsRole, Failure};
use crate::cli::keys::date;
use crate::output::{Table, say};

const RECORD: &str = "issued.jsonl";
const LIST: &str = "clients.crl";
const DAY_S: u64 = 86_400;
/// Bytes of a record or list that are read; a certificate takes about 150 in one, and 40 in the other.
const LENGTH_MAX: u64 = 64 << 20;

/// `walrus identity revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeArguments {
    /// A name, for all its certificates that still hold; a serial number as `walrus identity list` prints it; or a
    /// certificate's PEM file. Without any the list is made anew, to hold longer.
    whom: Vec<String>,
    /// Of a name only the certificates with this role.
    #[arg(long, value_enum)]
    role: Option<AsRole>,
    /// Where the authority is kept; the list goes there as `clients.crl`.
    #[arg(long, value_name = "DIR")]
    authority: PathBuf,
    /// For how long the list holds. Once it has run out, no certificate of the authority is believed until a newer
    /// one is in its place.
    #[arg(long, value_name = "DAYS", default_value_t = 365,
          value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
}

/// One certificate, as it is kept for later.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Made {
    serial: String,
    role: String,
    name: String,
    made_unix_s: u64,
    ends_unix_s: u64,
}

impl Made {
    pub(super) fn new(
        serial: &Serial,
        (role, name): (&str, &Name),
        unix_s: u64,
        days: u64,
    ) -> Self {
        Self {
            serial: serial.to_hex(),
            role: role.to_owned(),
            name: name.to_string(),
            made_unix_s: unix_s,
            ends_unix_s: unix_s.saturating_add(days.saturating_mul(DAY_S)),
        }
    }
}

/// Adds a line, on the disk when this returns.
pub(super) fn record(folder: &Path, made: &Made) -> Result<(), Failure> {
    let path = folder.join(RECORD);
    let line = serde_json::to_string(made).map_err(anyhow::Error::from)? + "\n";
    let opened = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    let written = opened.and_then(|mut file| {
        file.write_all(line.as_bytes())?;
        file.sync_all()
    });
    Ok(written.with_context(|| format!("cannot write {}", path.display()))?)
}

pub(super) fn run(arguments: &RevokeArguments) -> Result<(), Failure> {
    let folder = &arguments.authority;
    let authority = Authority::open(folder)?;
    let now = Clock::real().unix_ms() / 1000;
    let mut revoked = authority.revoked;
    let mut text = String::new();
    for whom in &arguments.whom {
        for (serial, what) in find(whom, arguments.role, &authority.made, now)? {
            match revoked.get(&serial) {
                Some(since) => {
                    text.push_str(&format!("# Taken back on {} already: {what}\n", date(*since)));
                }
                None => text.push_str(&format!("# Taken back: {what}\n")),
            }
            revoked.entry(serial).or_insert(now);
        }
    }
    let all = revoked.into_iter().map(|(serial, unix_s)| Revoked { serial, unix_s });
    let all: Vec<Revoked> = all.collect();
    let list = revocation_list(&authority.key, &all, now, arguments.days);
    let list = list.map_err(anyhow::Error::from)?;
    let path = folder.join(LIST);
    write_atomically(folder, LIST, 0o644, list.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!(
        "{text}# The list, which holds until {}. Put it where certificates of the authority are believed, \
         name it in [group], and reload:\nclient_revocations = \"{}\"\n",
        date(now.saturating_add(arguments.days * DAY_S)),
        path.display()
    ))
}

/// `walrus identity list`.
pub(super) fn list(folder: &Path) -> Result<(), Failure> {
    let Authority { made, revoked, .. } = Authority::open(folder)?;
    let now = Clock::real().unix_ms() / 1000;
    let mut table = Table::new(&["role", "name", "serial", "until", "state"]);
    for made in &made {
        let serial = Serial::from_hex(&made.serial);
        let since = serial.as_ref().and_then(|serial| revoked.get(serial));
        let state = match since {
            Some(since) => format!("taken back on {}", date(*since)),
            None if made.ends_unix_s < now => "has run out".to_owned(),
            None => "holds".to_owned(),
        };
        let until = date(made.ends_unix_s);
        table.row([made.role.clone(), made.name.clone(), made.serial.clone(), until, state]);
    }
    let is_known = |serial: &Serial| made.iter().any(|made| made.serial == serial.to_hex());
    for (serial, since) in revoked.iter().filter(|(serial, _)| !is_known(serial)) {
        let state = format!("taken back on {}", date(*since));
        table.row(["?".to_owned(), "?".to_owned(), serial.to_hex(), "?".to_owned(), state]);
    }
    say(&table.render())
}

/// What lies in an authority's folder.
struct Authority {
    key: String,
    made: Vec<Made>,
    /// By serial, since which Unix second.
    revoked: BTreeMap<Serial, u64>,
}

impl Authority {
    fn open(folder: &Path) -> Result<Self, Failure> {
        let private = folder.join("clients.key");
        let Some(key) = read(&private)? else {
            return Err(Failure::CouldNot(format!(
                "there is no authority in {}: `walrus identity certificate` makes one",
                folder.display()
            )));
        };
        let record = folder.join(RECORD);
        let made = read(&record)?.unwrap_or_default();
        let made: Result<Vec<Made>, _> = made.lines().map(serde_json::from_str).collect();
        let made = made.with_context(|| format!("{} is damaged", record.display()))?;
        let path = folder.join(LIST);
        let revoked = match read(&path)? {
            Some(list) => revoked_in(&key, &list)
                .with_context(|| format!("{} will not be written over", path.display()))?,
            None => Vec::new(),
        };
        let revoked = revoked.into_iter().map(|it| (it.serial, it.unix_s)).collect();
        Ok(Self { key, made, revoked })
    }
}

/// Certificates, each with what to call it.
fn find(
    whom: &str,
    role: Option<AsRole>,
    made: &[Made],
    now: u64,
) -> Result<Vec<(Serial, String)>, Failure> {
    let told = |made: &Made| format!("{} `{}`, serial {}", made.role, made.name, made.serial);
    let as_role = |made: &&Made| role.is_none_or(|role| role.role().as_str() == made.role);
    let named: Vec<&Made> = made.iter().filter(|it| it.name == whom).filter(as_role).collect();
    if !named.is_empty() {
        let held = named.iter().filter(|made| made.ends_unix_s >= now);
        let held: Vec<_> =
            held.filter_map(|made| Some((Serial::from_hex(&made.serial)?, told(made)))).collect();
        if held.is_empty() {
            return Err(Failure::No(format!("all certificates of `{whom}` have run out already")));
        }
        return Ok(held);
    }
    let of_file = || {
        let text = read(Path::new(whom)).ok()??;
        Serial::of(&text)
    };
    let Some(serial) = of_file().or_else(|| Serial::from_hex(whom)) else {
        return Err(Failure::No(format!(
            "`{whom}` is neither the name of a certificate that was made here (`walrus identity list`), nor \
             a certificate's file, nor a serial number in hex digits"
        )));
    };
    let known = made.iter().find(|made| made.serial == serial.to_hex());
    let what = known.map_or_else(|| format!("serial {}", serial.to_hex()), told);
    Ok(vec![(serial, what)])
}

/// `None` if there is no such file.
fn read(path: &Path) -> Result<Option<String>, Failure> {
    let read = || {
        let length = path.metadata()?.len();
        if length > LENGTH_MAX {
            return Err(std::io::Error::other("longer than 64 MiB"));
        }
        std::fs::read_to_string(path)
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(anyhow!(error).context(format!("cannot read {}", path.display())).into()),
    }
}
