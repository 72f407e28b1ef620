//! Several Controllers of one group, with a network between them that breaks.

mod cut_off;
mod faults;
mod marks;
mod network;
mod overrides;
mod succession;
mod vantage;

use network::{Network, Stop};
