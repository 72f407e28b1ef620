//! The Reporter: how a web server and its machine fare (thesis, chapter 5).
//!
//! As in the thesis there are three pieces: what is read from the machine ([`system`], a file each
//! operating system), what is read from the web server ([`web`], a file each kind of status page),
//! and what is said about it ([`speak`], pure). Beside them the web server's access log tells who asks
//! (`access_log`). [`run`] is the loop around them: it gathers and
//! *pushes* every unit; nobody polls.

mod access_log;
mod look;
mod operator;
mod run;
pub mod speak;
pub mod system;
pub mod web;

pub use run::run;
