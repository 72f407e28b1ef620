//! Keys over several nodes: what this one says to the signer and takes over from it; or, as the
//! signer, what it hears of the others and answers.

use walrus_core::dnssec::rollover::{Acknowledged, KeysHeld, ZoneKeyState};
use walrus_core::world::Name;

use super::{Inner, NodeKeys};

impl NodeKeys {
    /// What this node holds and serves, for the signer; in the order of the zones' names.
    pub(crate) fn held(&self) -> Vec<KeysHeld> {
        let inner = self.inner();
        let one = |(apex, zone): (&walrus_dns::DomainName, &super::SignedZone)| KeysHeld {
            zone: apex.clone(),
            held: zone
                .keeper
                .pairs()
                .map(|pair| pair.public().clone())
                .take(KeysHeld::MAX)
                .collect(),
            generation: zone.keeper.generation_served(),
        };
        inner.zones.iter().map(one).collect()
    }

    /// What the signer says; tells whether this node serves something else for it.
    pub(crate) fn follow(&self, told: Vec<ZoneKeyState>) -> bool {
        let mut inner = self.inner();
        let (mut changed, now) = (false, inner.unix().unwrap_or(0));
        inner.unheard = None;
        if inner.is_signer {
            return false;
        }
        for told in told {
            let apex = told.zone.clone();
            let Some(zone) = inner.zones.get_mut(&apex) else { continue };
            let before = (zone.keeper.rollover().state().generation, zone.keeper.keys());
            let followed = zone.keeper.follow(now, told);
            let problem = followed.err().map(|error| walrus_host::log::chain(&error));
            if let Some(problem) = &problem
                && zone.unfollowed.as_ref() != Some(problem)
            {
                tracing::error!(zone = %apex, "the signer is not followed: {problem}");
            }
            zone.unfollowed = problem;
            changed |= (zone.keeper.rollover().state().generation, zone.keeper.keys()) != before;
        }
        drop(inner);
        if changed {
            self.changed.notify_one();
        }
        changed
    }

    /// The signer cannot be asked.
    pub(crate) fn signer_unheard(&self, problem: String) {
        self.inner().unheard = Some(problem);
    }

    /// Another node says what it holds and serves; the answer is where those zones' keys stand.
    ///
    /// # Errors
    /// In words: this node does not decide, or that one is not waited for.
    pub(crate) fn acknowledge(
        &self,
        node: &Name,
        said: Vec<KeysHeld>,
    ) -> Result<Vec<ZoneKeyState>, String> {
        let mut inner = self.inner();
        inner.check_follower(node)?;
        let mut states = Vec::new();
        for said in said {
            let Some(zone) = inner.zones.get_mut(&said.zone) else { continue };
            zone.keeper.acknowledge(node, Acknowledged::from(said));
            states.push(zone.keeper.rollover().state().clone());
        }
        drop(inner);
        // What was waited for may have come: a look costs little.
        self.changed.notify_one();
        Ok(states)
    }

    /// Whether this node decides, and for that one too.
    pub(crate) fn admits(&self, node: &Name) -> Result<(), String> {
        let inner = self.inner();
        inner.check_follower(node)
    }
}

impl Inner {
    fn check_follower(&self, node: &Name) -> Result<(), String> {
        if !self.is_signer {
            return Err(
                "this node is not the signer ([dnssec] signer): join the one that is".into()
            );
        }
        if !self.dnssec.nodes.contains(node) {
            return Err(format!("{node} is not among `nodes` of [dnssec] here: add it"));
        }
        Ok(())
    }
}
