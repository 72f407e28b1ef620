//! What the fuzz targets in `bin/` run.

mod targets;

pub use targets::*;
