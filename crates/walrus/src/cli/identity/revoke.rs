//! `walrus identity revoke` and `list`: what an authority made, and what it takes back.
//!
//! `issued.jsonl` beside the authority's key has a line for each certificate. It decides nothing: it is there to find a
//! certificate by its name. What was taken back stands in the list itself.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde::{Deserialize, Serialize};
use walrus_core::world::Name;
use walrus_host::clock::Clock;
use walrus_host::state::write_atomically;
use walrus_host::tls::{Revoked, Serial, revocation_list, revoked_in, serial_issued};

use super::{AsRole, Failure};
use crate::cli::count;
use crate::cli::keys::date;
use crate::output::{Table, complain, say, say_json};

const RECORD: &str = "issued.jsonl";
const LIST: &str = "clients.crl";
const DAY_S: u64 = 86_400;
/// Bytes of a record or list that are read; a certificate takes about 150 in one, and 40 in the other.
const LENGTH_MAX: u64 = 64 << 20;
/// Held by whoever reads a list or record to write it anew.
const LOCK: &str = "lock";
/// Another call takes milliseconds; one that a person stopped must not hold up for good.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Shorter numbers are words as well (`cafe`); authorities draw at least 64 bits.
const SERIAL_BYTES_MIN: usize = 8;

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

/// Adds a line, on the disk when this returns. Behind what a crash left of another it begins anew.
pub(super) fn record(folder: &Path, made: &Made) -> Result<(), Failure> {
    let _alone = lock(folder)?;
    let path = folder.join(RECORD);
    let line = serde_json::to_string(made).map_err(anyhow::Error::from)? + "\n";
    let opened = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
    let written = opened.and_then(|mut file| {
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        let line = if last == [b'\n'] { line } else { format!("\n{line}") };
        file.write_all(line.as_bytes())?;
        file.sync_all()
    });
    Ok(written.with_context(|| format!("cannot write {}", path.display()))?)
}

pub(super) fn run(arguments: &RevokeArguments) -> Result<(), Failure> {
    let folder = &arguments.authority;
    // No lock is left where no authority is.
    Authority::key(folder)?;
    // Until the list is written: what another call takes back meanwhile would be lost.
    let _alone = lock(folder)?;
    let mut authority = Authority::open(folder)?;
    authority.complain_of_unreadable(folder);
    let now = Clock::real().unix_ms() / 1000;
    let mut revoked = std::mem::take(&mut authority.revoked);
    let mut text = String::new();
    for whom in &arguments.whom {
        for (serial, what) in find(whom, arguments.role, &authority, &revoked, now)? {
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
pub(super) fn list(folder: &Path, json: bool) -> Result<(), Failure> {
    let authority = Authority::open(folder)?;
    authority.complain_of_unreadable(folder);
    let listed = Listed::of(&authority, Clock::real().unix_ms() / 1000);
    if json {
        return say_json("certificates", &listed);
    }
    let mut table = Table::new(&["role", "name", "serial", "until", "state"]);
    for it in listed.certificates {
        let state = match it.revoked_unix_s {
            Some(since) => format!("taken back on {}", date(since)),
            None if it.holds => "holds".to_owned(),
            None => "has run out".to_owned(),
        };
        let unknown = || "?".to_owned();
        let until = it.ends_unix_s.map_or_else(unknown, date);
        let (role, name) = (it.role.unwrap_or_else(unknown), it.name.unwrap_or_else(unknown));
        table.row([role, name, it.serial, until, state]);
    }
    say(&table.render())
}

/// What an authority made and took back.
#[derive(Serialize)]
struct Listed {
    certificates: Vec<ListedCertificate>,
}

/// One certificate; of one that is not on record, its serial number alone is known.
#[derive(Serialize)]
struct ListedCertificate {
    role: Option<String>,
    name: Option<String>,
    serial: String,
    ends_unix_s: Option<u64>,
    revoked_unix_s: Option<u64>,
    holds: bool,
}

impl Listed {
    fn of(authority: &Authority, now_unix_s: u64) -> Self {
        let Authority { made, revoked, .. } = authority;
        let on_record = made.iter().map(|made| {
            let serial = Serial::from_hex(&made.serial);
            let revoked_unix_s = serial.as_ref().and_then(|it| revoked.get(it)).copied();
            ListedCertificate {
                role: Some(made.role.clone()),
                name: Some(made.name.clone()),
                serial: made.serial.clone(),
                ends_unix_s: Some(made.ends_unix_s),
                revoked_unix_s,
                holds: revoked_unix_s.is_none() && made.ends_unix_s >= now_unix_s,
            }
        });
        let is_known = |serial: &Serial| made.iter().any(|made| made.serial == serial.to_hex());
        let others = revoked.iter().filter(|(serial, _)| !is_known(serial));
        let others = others.map(|(serial, since)| ListedCertificate {
            role: None,
            name: None,
            serial: serial.to_hex(),
            ends_unix_s: None,
            revoked_unix_s: Some(*since),
            holds: false,
        });
        Self { certificates: on_record.chain(others).collect() }
    }
}

/// What lies in an authority's folder.
struct Authority {
    key: String,
    made: Vec<Made>,
    /// Numbers of lines of the record that cannot be read, such as the last one before a crash.
    unreadable: Vec<usize>,
    /// By serial, since which Unix second.
    revoked: BTreeMap<Serial, u64>,
}

impl Authority {
    fn key(folder: &Path) -> Result<String, Failure> {
        read(&folder.join("clients.key"))?.ok_or_else(|| {
            Failure::CouldNot(format!(
                "there is no authority in {}: `walrus identity certificate` makes one",
                folder.display()
            ))
        })
    }

    fn open(folder: &Path) -> Result<Self, Failure> {
        let key = Self::key(folder)?;
        let record = read(&folder.join(RECORD))?.unwrap_or_default();
        let (mut made, mut unreadable) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(record.lines()) {
            match serde_json::from_str::<Made>(line) {
                Ok(one) => made.push(one),
                Err(_) if line.is_empty() => {}
                Err(_) => unreadable.push(number),
            }
        }
        let path = folder.join(LIST);
        let revoked = match read(&path)? {
            Some(list) => revoked_in(&key, &list)
                .with_context(|| format!("{} will not be written over", path.display()))?,
            None => Vec::new(),
        };
        let revoked = revoked.into_iter().map(|it| (it.serial, it.unix_s)).collect();
        Ok(Self { key, made, unreadable, revoked })
    }

    /// The record decides nothing, so that what is lost of it keeps nobody from taking back the rest.
    fn complain_of_unreadable(&self, folder: &Path) {
        let Some(first) = self.unreadable.first() else { return };
        complain(&format!(
            "warning: {} of {} cannot be read (the first is line {first}): a certificate that one told of is not \
             found by its name; take it back by its file or serial number",
            count(self.unreadable.len(), "line"),
            folder.join(RECORD).display()
        ));
    }
}

/// Waits until no other call changes what lies in the folder, and keeps others waiting until it is dropped.
fn lock(folder: &Path) -> Result<File, Failure> {
    let path = folder.join(LOCK);
    let cannot = || format!("cannot lock {}", path.display());
    let opened =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.with_context(cannot)?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begin.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                let text = "another `walrus identity` has it: try again once that has ended";
                return Err(anyhow!(text).context(cannot()).into());
            }
            Err(TryLockError::Error(error)) => return Err(anyhow!(error).context(cannot()).into()),
        }
    }
}

/// Certificates, each with what to call it. Nothing that might be no certificate of the authority: who takes one
/// back must not believe that somebody is kept out who is not.
fn find(
    whom: &str,
    role: Option<AsRole>,
    Authority { key, made, .. }: &Authority,
    revoked: &BTreeMap<Serial, u64>,
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
    let is_one = |serial: &Serial| {
        let is_known =
            revoked.contains_key(serial) || made.iter().any(|made| made.serial == serial.to_hex());
        is_known || serial.length_bytes() >= SERIAL_BYTES_MIN
    };
    let text = read(Path::new(whom)).ok().flatten();
    let serial = match text.filter(|text| Serial::of(text).is_some()) {
        Some(text) => Some(
            serial_issued(key, &text).map_err(|error| Failure::No(format!("{whom}: {error}")))?,
        ),
        None => Serial::from_hex(whom).filter(is_one),
    };
    let Some(serial) = serial else {
        return Err(Failure::No(format!(
            "`{whom}` is neither the name of a certificate that was made here (`walrus identity list`), nor \
             a certificate's file, nor a serial number (at least {} hex digits, if it is not on record)",
            SERIAL_BYTES_MIN * 2
        )));
    };
    let known = made.iter().find(|made| made.serial == serial.to_hex());
    let what = known.map_or_else(|| format!("serial {}, not on record", serial.to_hex()), told);
    Ok(vec![(serial, what)])
}

/// `None` if there is no such file.
fn read(path: &Path) -> Result<Option<String>, Failure> {
    let read = || {
        let length = path.metadata()?.len();
        if length > LENGTH_MAX {
            return Err(std::io::Error::other("longer than 64 MiB"));
        }
        // A record may have anything in it after a crash; nothing else has other than ASCII.
        Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(anyhow!(error).context(format!("cannot read {}", path.display())).into()),
    }
}
