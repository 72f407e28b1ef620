//! A system whose statistics are not known to be had: the Reporter goes on with the web server's.

use super::{Processes, System, SystemError, SystemReading};

/// The machine that this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl System for Machine {
    fn read(&self) -> Result<SystemReading, SystemError> {
        Err(SystemError {
            what: "the statistics of this operating system (set `system = false`)",
            why: "not supported".into(),
        })
    }

    fn processes(&self) -> Option<Processes> {
        None
    }
}
