//! walrus-director.
mod answering;
mod counters;
mod tcp;
mod udp;

pub use counters::CounterSnapshot;
