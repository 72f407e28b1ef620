//! walrus-sim.
