//! walrus-director.
