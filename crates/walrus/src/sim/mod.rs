//! What stands behind `walrus sim`: files, threads, tables and reports around the simulator and the
//! replay.

mod progress;
pub(crate) mod replay;
mod replay_view;
mod replay_world;

pub(crate) use replay_view::ReplayView;
