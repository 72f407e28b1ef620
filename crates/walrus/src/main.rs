//! `walrus`: one binary; every role is a subcommand or a section of the configuration.

mod api;
mod check_dnssec;
mod cli;
mod demo;
mod dns_files;
mod expiry;
mod load;
mod node;
mod origin;
mod output;
mod paths;
mod setup;
mod sign_offline;
mod sim;
mod test_clock;
mod top;
mod zone_files;
mod zone_updates;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let json = arguments.wants_json();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell(json);
            ExitCode::from(failure.code())
        }
    }
}
