//! Several Controllers of one group, with a network between them that breaks.

mod cut_off;
mod directors;
mod faults;
mod marks;
mod network;
mod overrides;
mod replays;
mod succession;
mod upgrade;
mod vantage;

use network::{Network, Stop};
