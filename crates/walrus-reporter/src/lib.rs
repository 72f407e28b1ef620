//! walrus-reporter.
