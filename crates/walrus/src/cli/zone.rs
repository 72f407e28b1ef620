//! `walrus zone dump`: a zone as it is served, as a zone file.

use std::fmt;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use walrus_core::dnssec::unsigned;
use walrus_core::zone::write_zone;
use walrus_dns::DomainName;

use super::{ApiArguments, Failure};
use crate::api::client::Client;
use crate::api::zone::{ZoneQuery, ZoneTextError};
use crate::load::{self, LoadError};
use crate::output::say;
use crate::sign_offline;

/// `walrus zone`.
#[derive(Debug, Subcommand)]
pub(crate) enum ZoneCommand {
    /// Write a zone as it is served to standard output, as a zone file.
    ///
    /// Each service stands in it with one of the answers that it gives. Of a signed zone the
    /// signatures, chain and keys are there too.
    Dump(DumpArguments),
}

/// `walrus zone dump`.
#[derive(Debug, Args)]
pub(crate) struct DumpArguments {
    /// The zone's apex.
    name: String,
    /// From this configuration instead of the running system, signed with the keys of the state
    /// directory.
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// Leave out signatures, chain and keys.
    #[arg(long)]
    unsigned: bool,
    #[command(flatten)]
    api: ApiArguments,
}

pub(super) fn run(command: ZoneCommand) -> Result<(), Failure> {
    let ZoneCommand::Dump(arguments) = command;
    if let Some(path) = &arguments.config {
        return dump_files(path, &arguments);
    }
    let query = ZoneQuery { name: arguments.name, unsigned: arguments.unsigned };
    let pairs = [("name", query.name), ("unsigned", query.unsigned.to_string())];
    say(&Client::with_token(&arguments.api)?.get_text("/zone", &pairs)?)
}

fn dump_files(path: &Path, arguments: &DumpArguments) -> Result<(), Failure> {
    let apex: DomainName = arguments
        .name
        .parse()
        .map_err(|_| Failure::WrongUse(ZoneTextError::Name(arguments.name.clone()).to_string()))?;
    let loaded = load::check(path)
        .and_then(|checked| checked.load(None))
        .map_err(LoadError::into_failure)?;
    let state = &arguments.api.state;
    let plan = load::saved_plan(state)?.unwrap_or_else(|| load::first_plan(&loaded));
    let table = if arguments.unsigned {
        load::answer_table(&loaded, plan)?
    } else {
        sign_offline::answer_table(&loaded, plan, state, &apex)?
    };
    let zone = table.served_zone(&apex);
    let mut zone =
        zone.ok_or_else(|| Failure::WrongUse(ZoneTextError::NoZone(apex).to_string()))?;
    if arguments.unsigned {
        zone = unsigned(&zone);
    }
    let mut out = Output { out: BufWriter::new(io::stdout().lock()), error: None };
    if write_zone(&zone, &mut out).is_ok() {
        out.error = out.out.flush().err();
    }
    match out.error {
        // A reader that went away (`| head`) is no error.
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::CouldNot(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Text into bytes, and what went wrong.
struct Output<W> {
    out: W,
    error: Option<io::Error>,
}

impl<W: io::Write> fmt::Write for Output<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.write_all(text.as_bytes()).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}
