//! Marks of name servers that were there before: they only rise, and no name is ever without an address.

use std::collections::BTreeMap;

use walrus_core::plan::PlanNumber;
use walrus_core::update::Content;
use walrus_core::world::Time;
use walrus_dns::DomainName;

use super::{Breaches, Rule};

/// The highest number in the marks of each name of each name server.
#[derive(Debug, Default)]
pub(in crate::faults) struct Marks(BTreeMap<(usize, DomainName), PlanNumber>);

impl Marks {
    /// This stands at a name of a name server, with a mark of this Plan.
    pub(in crate::faults) fn stands(
        &mut self,
        breaches: &mut Breaches,
        now: Time,
        (zone, name): (usize, &DomainName),
        content: &Content,
        plan: PlanNumber,
    ) {
        if content.is_empty() {
            breaches.tell(now, Rule::NoEmptyAnswer, || format!("{name} has no address"));
        }
        let known = self.0.entry((zone, name.clone())).or_insert_with(|| plan.clone());
        if plan < *known {
            breaches.tell(now, Rule::NumbersRise, || {
                format!("the mark at {name} goes from Plan {known} to {plan}")
            });
        }
        *known = plan;
    }

    /// The name server lost what it had.
    pub(in crate::faults) fn forget(&mut self, zone: usize) {
        self.0.retain(|(of, _), _| *of != zone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_goes_back_and_a_name_without_addresses_are_seen() {
        let number = |epoch| PlanNumber { epoch, controller: "c1".parse().unwrap(), sequence: 1 };
        let name: DomainName = "w0.n1.example.org".parse().unwrap();
        let full =
            Content { ttl: 1, ipv4: ["192.0.2.1".parse().unwrap()].into(), ..Content::default() };
        let broken = |steps: &[(u64, &Content, bool)]| -> Vec<Rule> {
            let (mut marks, mut breaches) = (Marks::default(), Breaches::default());
            for (epoch, content, forgets) in steps {
                if *forgets {
                    marks.forget(0);
                }
                let who = (0, &name);
                marks.stands(&mut breaches, Time::ZERO, who, content, number(*epoch));
            }
            breaches.into_inner().into_iter().map(|it| it.rule).collect()
        };
        assert_eq!(broken(&[(1, &full, false), (2, &full, false), (2, &full, false)]), []);
        assert_eq!(broken(&[(2, &full, false), (1, &full, false)]), [Rule::NumbersRise]);
        assert_eq!(broken(&[(2, &full, false), (1, &full, true)]), []);
        assert_eq!(broken(&[(1, &Content::default(), false)]), [Rule::NoEmptyAnswer]);
    }
}
