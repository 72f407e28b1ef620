//! Numbers of Plans: they rise, they are stored before they are used, and each names one Plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use walrus_core::plan::{Plan, PlanNumber};
use walrus_core::world::Time;

use super::{Breaches, Rule};

/// What was seen of numbers.
#[derive(Debug, Default)]
pub(in crate::faults) struct Numbers {
    /// Which Plan each number named.
    named: BTreeMap<PlanNumber, Arc<Plan>>,
    /// By Director: what it holds and may not go back from.
    held: BTreeMap<usize, PlanNumber>,
    /// By Controller: the same of what it publishes.
    published: BTreeMap<usize, PlanNumber>,
    /// Somebody lost its state or could not write: it knows no more which numbers it gave out.
    forgot: bool,
}

impl Numbers {
    /// A Controller gives a Plan out; `stored` is the highest epoch that it was told to write down.
    pub(in crate::faults) fn published(
        &mut self,
        breaches: &mut Breaches,
        now: Time,
        (place, name): (usize, &str),
        plan: &Arc<Plan>,
        stored: u64,
    ) {
        let number = &plan.number;
        if number.epoch > stored {
            breaches.tell(now, Rule::EpochStored, || {
                format!("{name} gives out Plan {number}; the last epoch that it stored is {stored}")
            });
        }
        if let Err(problem) = plan.validate() {
            breaches.tell(now, Rule::ValidPlan, || format!("Plan {number}: {problem}"));
        }
        if let Some(before) = self.published.get(&place).filter(|before| *before >= number) {
            breaches.tell(now, Rule::NumbersRise, || {
                format!("{name} gives out Plan {number} after {before}")
            });
        }
        self.published.insert(place, number.clone());
        let named = self.named.entry(number.clone()).or_insert_with(|| Arc::clone(plan));
        if !self.forgot && **named != **plan {
            breaches.tell(now, Rule::OneNumberOnePlan, || {
                format!("{name} gives out another Plan {number} than before")
            });
        }
    }

    /// A Director takes a Plan.
    pub(in crate::faults) fn taken(
        &mut self,
        breaches: &mut Breaches,
        now: Time,
        (place, name): (usize, &str),
        plan: &Plan,
    ) {
        let number = &plan.number;
        if let Some(held) = self.held.get(&place).filter(|held| *held >= number) {
            breaches.tell(now, Rule::NumbersRise, || {
                format!("Director {name} goes from Plan {held} to {number}")
            });
        }
        self.held.insert(place, number.clone());
        // Whose Plan it is was published before, by somebody.
        if !self.forgot && self.named.get(number).is_some_and(|named| **named != *plan) {
            breaches.tell(now, Rule::OneNumberOnePlan, || {
                format!("Director {name} takes another Plan {number} than was published")
            });
        }
    }

    /// A Director begins with what its disk has.
    pub(in crate::faults) fn director_begins(&mut self, place: usize, found: Option<&Plan>) {
        match found {
            Some(plan) => self.held.insert(place, plan.number.clone()),
            None => self.held.remove(&place),
        };
    }

    /// A Controller begins anew: with its state its numbers go on rising.
    pub(in crate::faults) fn controller_begins(&mut self, place: usize, forgot: bool) {
        if forgot {
            self.published.remove(&place);
            self.forgot = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use walrus_core::plan::{Digests, FORMAT};

    use super::*;

    fn plan(epoch: u64, sequence: u64) -> Arc<Plan> {
        let number = PlanNumber { epoch, controller: "c1".parse().unwrap(), sequence };
        let (servers, lists, services) = (Vec::new(), Vec::new(), Vec::new());
        let digests = Digests::default();
        Arc::new(Plan { format: FORMAT, number, digests, servers, lists, services })
    }

    fn broken(steps: impl FnOnce(&mut Numbers, &mut Breaches)) -> Vec<Rule> {
        let (mut numbers, mut breaches) = (Numbers::default(), Breaches::default());
        steps(&mut numbers, &mut breaches);
        breaches.into_inner().into_iter().map(|it| it.rule).collect()
    }

    const NOW: Time = Time::ZERO;

    #[test]
    fn a_director_that_goes_back_is_seen_unless_its_state_was_lost() {
        let back = broken(|numbers, breaches| {
            numbers.taken(breaches, NOW, (0, "d1"), &plan(2, 1));
            numbers.taken(breaches, NOW, (1, "d2"), &plan(1, 9));
            numbers.taken(breaches, NOW, (0, "d1"), &plan(1, 9));
        });
        assert_eq!(back, [Rule::NumbersRise]);
        let lost = broken(|numbers, breaches| {
            numbers.taken(breaches, NOW, (0, "d1"), &plan(2, 1));
            numbers.director_begins(0, None);
            numbers.taken(breaches, NOW, (0, "d1"), &plan(1, 9));
        });
        assert_eq!(lost, []);
    }

    #[test]
    fn an_epoch_that_was_not_stored_and_a_number_of_two_plans_are_seen() {
        let unstored = broken(|numbers, breaches| {
            numbers.published(breaches, NOW, (0, "c1"), &plan(2, 1), 1);
        });
        assert_eq!(unstored, [Rule::EpochStored]);
        let mut other = Plan::clone(&plan(1, 1));
        other.format += 1;
        let twice = broken(|numbers, breaches| {
            numbers.published(breaches, NOW, (0, "c1"), &plan(1, 1), 1);
            numbers.taken(breaches, NOW, (0, "d1"), &other);
        });
        assert_eq!(twice, [Rule::OneNumberOnePlan]);
        let again = broken(|numbers, breaches| {
            numbers.published(breaches, NOW, (0, "c1"), &plan(1, 2), 1);
            numbers.controller_begins(0, false);
            numbers.published(breaches, NOW, (0, "c1"), &plan(1, 2), 1);
        });
        assert_eq!(again, [Rule::NumbersRise], "with its state it goes on");
    }
}
