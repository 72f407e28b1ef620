//! What a process finds again after it was killed.

use std::sync::Arc;

use walrus_core::plan::Plan;
use walrus_core::world::Overrides;

use super::schedule::Keeps;

/// A state directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    contents: Contents,
    /// What was there some seconds ago, as a copy or a snapshot of a machine has it.
    older: Contents,
    /// How often it was told to refuse and not yet to take again.
    refuses: u16,
}

/// The files.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) epoch: u64,
    pub(super) joined: u64,
    pub(super) overrides: Overrides,
    pub(super) plan: Option<Arc<Plan>>,
}

impl Disk {
    /// Writes; false if the disk refuses.
    pub(super) fn write(&mut self, change: impl FnOnce(&mut Contents)) -> bool {
        if self.refuses == 0 {
            change(&mut self.contents);
        }
        self.refuses == 0
    }

    pub(super) const fn contents(&self) -> &Contents {
        &self.contents
    }

    pub(super) const fn set_refuses(&mut self, refuses: bool) {
        self.refuses =
            if refuses { self.refuses.saturating_add(1) } else { self.refuses.saturating_sub(1) };
    }

    pub(super) const fn is_refusing(&self) -> bool {
        self.refuses > 0
    }

    /// Somebody makes a copy.
    pub(super) fn copy(&mut self) {
        self.older = self.contents.clone();
    }

    /// The machine comes back with this.
    pub(super) fn come_back(&mut self, keeps: Keeps) {
        match keeps {
            Keeps::All => {}
            Keeps::Nothing => self.contents = Contents::default(),
            Keeps::Older => self.contents = self.older.clone(),
        }
    }
}
