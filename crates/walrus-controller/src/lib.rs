//! walrus-controller.
