//! What the fuzz targets in `bin/` run.

mod replay;
mod targets;

pub use replay::replay;
pub use targets::*;
