//! `walrus`: one binary; every role is a subcommand or a section of the configuration.

mod api;
mod cli;
mod demo;
mod load;
mod node;
mod origin;
mod output;
mod test_clock;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure.to_string());
            ExitCode::from(failure.code())
        }
    }
}
