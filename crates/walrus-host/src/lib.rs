//! walrus-host.
