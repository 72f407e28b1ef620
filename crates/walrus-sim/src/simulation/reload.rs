//! Another configuration is put in force while a run goes on, as by `walrus reload`.

use std::sync::Arc;

use walrus_core::config::Configuration;
use walrus_core::world::Time;

use super::run::Run;

impl Run<'_> {
    /// Controllers and name servers that run take it over at once, each with what it knows; those that are
    /// dead find it when they start again.
    pub(super) fn reload(&mut self, configuration: &Arc<Configuration>) {
        let now = Time::from_nanos(self.now);
        if let Err(why) = self.directors.reconfigure(configuration) {
            self.measures.warn(self.now, &format!("set: {why}"));
            return;
        }
        self.controllers.reconfigure(configuration, now);
        (0..self.controllers.list.len()).for_each(|controller| self.poll(controller));
    }
}
