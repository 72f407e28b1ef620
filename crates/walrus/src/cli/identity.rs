//! `walrus identity`: tokens and certificates for Reporters, nodes and operators.

mod revoke;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use walrus_core::world::{IdentityRole, Name, OperatorRight};
use walrus_host::clock::Clock;
use walrus_host::tls::{Serial, issue, new_authority};
use walrus_host::token::Token;

use super::Failure;
use crate::output::say;

/// What is done.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Make a token, and print the lines that let its bearer in.
    New(NewArguments),
    /// Print what `token_sha256` of a token is.
    Hash {
        /// Holds the token.
        file: PathBuf,
    },
    /// Make a certificate that says whose it is, with an authority that is made at first.
    Certificate(CertificateArguments),
    /// Take certificates back: write the authority's list of revocations.
    Revoke(revoke::RevokeArguments),
    /// Print which certificates an authority made, until when they hold, and which were taken back.
    List {
        /// Where the authority is kept.
        #[arg(long, value_name = "DIR")]
        authority: PathBuf,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
}

/// `walrus identity new`.
#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    #[command(flatten)]
    who: Who,
    /// What an operator may do; default steer.
    #[arg(long, value_enum)]
    may: Option<May>,
    /// Put the token into this new file (mode 0600) instead of printing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `walrus identity certificate`.
#[derive(Debug, Args)]
pub(crate) struct CertificateArguments {
    #[command(flatten)]
    who: Who,
    /// Where the authority is kept: `clients.pem` for `client_authority`, and `clients.key`, which no
    /// machine needs but the one where certificates are made.
    #[arg(long, value_name = "DIR")]
    authority: PathBuf,
    /// How long it is valid.
    #[arg(long, value_name = "DAYS", default_value_t = 365,
          value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    /// Where ROLE-NAME.pem and ROLE-NAME.key go.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct Who {
    /// The server that a Reporter speaks of, a node's name, or an operator's.
    name: String,
    /// What it speaks as.
    #[arg(long, value_enum)]
    role: AsRole,
}

impl Who {
    fn name(&self) -> Result<Name, Failure> {
        self.name.parse().map_err(|error| Failure::WrongUse(format!("`{}`: {error}", self.name)))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AsRole {
    Reporter,
    Node,
    Operator,
}

impl AsRole {
    const fn role(self) -> IdentityRole {
        match self {
            Self::Reporter => IdentityRole::Reporter,
            Self::Node => IdentityRole::Node,
            Self::Operator => IdentityRole::Operator,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum May {
    Read,
    Steer,
}

impl IdentityCommand {
    /// Whether errors go out as JSON, too.
    pub(super) const fn wants_json(&self) -> bool {
        matches!(self, Self::List { json: true, .. })
    }
}

pub(super) fn run(command: &IdentityCommand) -> Result<(), Failure> {
    match command {
        IdentityCommand::New(arguments) => new(arguments),
        IdentityCommand::Hash { file } => {
            let token = Token::read(file).map_err(anyhow::Error::from)?;
            say(&format!("{}\n", token.hash().to_hex()))
        }
        IdentityCommand::Certificate(arguments) => certificate(arguments),
        IdentityCommand::Revoke(arguments) => revoke::run(arguments),
        IdentityCommand::List { authority, json } => revoke::list(authority, *json),
    }
}

fn new(arguments: &NewArguments) -> Result<(), Failure> {
    let (name, role) = (arguments.who.name()?, arguments.who.role.role());
    if arguments.may.is_some() && role != IdentityRole::Operator {
        return Err(Failure::WrongUse("--may is for operators".to_owned()));
    }
    let token = Token::random().map_err(anyhow::Error::from)?;
    let mut text = String::new();
    match &arguments.out {
        Some(file) => {
            write_secret(file, &format!("{}\n", token.secret()))?;
            text.push_str(&format!("# The token is in {}.\n", file.display()));
        }
        None => text.push_str(&format!(
            "# The token, which is shown nowhere else:\n# {}\n",
            token.secret()
        )),
    }
    text.push_str(&format!("# {}\n", where_to(role)));
    text.push_str(&format!(
        "[[identity]]\nname = \"{name}\"\nrole = \"{}\"\ntoken_sha256 = \"{}\"",
        role.as_str(),
        token.hash().to_hex()
    ));
    if let Some(may) = arguments.may {
        let may = match may {
            May::Read => OperatorRight::Read,
            May::Steer => OperatorRight::Steer,
        };
        text.push_str(&format!("\nmay = \"{}\"", may.as_str()));
    }
    text.push('\n');
    say(&text)
}

/// Who needs the token, and who the lines.
const fn where_to(role: IdentityRole) -> &'static str {
    match role {
        IdentityRole::Reporter => {
            "The Reporter brings it as `token_file` of [reporter]; its Controllers take these lines:"
        }
        IdentityRole::Node => {
            "The node brings it as `node_token_file` of [group]; the node that it joins takes these lines:"
        }
        IdentityRole::Operator => {
            "The operator brings it with --token-file; nodes with an API take these lines:"
        }
    }
}

fn certificate(arguments: &CertificateArguments) -> Result<(), Failure> {
    let (name, role) = (arguments.who.name()?, arguments.who.role.role());
    if role == IdentityRole::Operator {
        let text = "the API knows operators by tokens: `walrus identity new`";
        return Err(Failure::WrongUse(text.to_owned()));
    }
    let now = Clock::real().unix_ms() / 1000;
    let folder = &arguments.authority;
    let (public, private) = (folder.join("clients.pem"), folder.join("clients.key"));
    if !private.exists() {
        let made = new_authority(now).map_err(anyhow::Error::from)?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        write_secret(&private, &made.key)?;
        write_new(&public, &made.certificate, 0o644)?;
    }
    let authority = std::fs::read_to_string(&private)
        .with_context(|| format!("cannot read {}", private.display()))?;
    let issued =
        issue(&authority, (role, &name), now, arguments.days).map_err(anyhow::Error::from)?;
    let file = |ending| arguments.out.join(format!("{}-{name}.{ending}", role.as_str()));
    let (certificate, key) = (file("pem"), file("key"));
    write_secret(&key, &issued.key)?;
    let serial = Serial::of(&issued.certificate);
    let serial = serial.ok_or_else(|| anyhow!("the new certificate cannot be read"))?;
    // Before the certificate is there, so that none is unknown that somebody may have.
    revoke::record(
        folder,
        &revoke::Made::new(&serial, (role.as_str(), &name), now, arguments.days),
    )?;
    write_new(&certificate, &issued.certificate, 0o644)?;
    let settings = match role {
        IdentityRole::Reporter => ("[reporter]", "certificate", "key"),
        _ => ("[group]", "join_certificate", "join_key"),
    };
    say(&format!(
        "# Who is connected to, in [group]:\n#   client_authority = \"{}\"\n# {role} `{name}`:\n{}\n\
         {} = \"{}\"\n{} = \"{}\"\n",
        public.display(),
        settings.0,
        settings.1,
        certificate.display(),
        settings.2,
        key.display()
    ))
}

fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    write_new(path, text, 0o600)
}

/// Never over something that is there: it may be in use.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        Failure::from(anyhow!(error).context(format!("cannot make the file {}", path.display())))
    })
}
