//! Writing: updates of names, and what became of them.

use walrus_dns::DomainName;

use super::name::NameState;
use super::{
    DesiredName, Failure, Held, Mark, NAMES_MAX, Reply, Request, UnderWay, Updater, UpdaterEffect,
    Verdict, Why,
};
use crate::update::{Content, OnlyIf};
use crate::world::Time;

/// Answers YXDOMAIN, YXRRSET and NXRRSET: a prerequisite does not hold (RFC 2136 section 2.2).
const PREREQUISITES: std::ops::RangeInclusive<u8> = 6..=8;

impl Updater {
    /// Updates of names that are to be written: first those that were not tried in vain before, so that none
    /// holds others up, and of these first those whose addresses change.
    pub(super) fn write(&self, now: Time) -> Option<(UnderWay, Vec<Request>)> {
        let desired = self.desired.as_ref()?;
        let is_due = |name: &NameState| name.next_writing().is_some_and(|at| at <= now);
        let due = self.wanted().filter(|(_, name)| is_due(name));
        let mut due: Vec<(&DesiredName, &NameState, &OnlyIf, Why)> = due
            .filter_map(|(wanted, name)| match &name.verdict {
                Some(Verdict::Write { only_if, why }) => Some((wanted, name, only_if, *why)),
                _ => None,
            })
            .collect();
        due.sort_by_key(|(_, name, _, why)| (name.cut_off, name.tries, *why == Why::Renewed));
        let (mut requests, mut written) = (Vec::new(), Vec::new());
        for (wanted, name, only_if, why) in due.into_iter().take(NAMES_MAX) {
            // If one of them cuts exchanges off the others are to be rid of it: half as many each time.
            if requests.len() >= (NAMES_MAX >> name.cut_off.min(NAMES_MAX.ilog2())) {
                break;
            }
            let (owner, plan) = (self.settings.owner.clone(), desired.plan.clone());
            let mark = Mark { owner, plan, content: Some(wanted.content.fingerprint()) };
            let held = after(wanted, (name.held.as_ref(), only_if), &mark);
            requests.push(Request::Update {
                zone: self.settings.zone.clone(),
                name: wanted.target.clone(),
                only_if: only_if.clone(),
                content: wanted.content.clone(),
                mark,
                mark_ttl: held.text_ttl.unwrap_or(wanted.content.ttl),
            });
            written.push((wanted.target.clone(), held, why));
        }
        (!requests.is_empty()).then_some((UnderWay::Write(written), requests))
    }

    pub(super) fn have_written(
        &mut self,
        now: Time,
        names: Vec<(DomainName, Held, Why)>,
        replies: &[Result<Reply, Failure>],
    ) {
        for (index, (target, held, why)) in names.into_iter().enumerate() {
            let Some(name) = self.names.get_mut(&target) else { continue };
            let reply = replies.get(index).unwrap_or(&Err(Failure::Malformed));
            match reply.as_ref().map(|reply| reply.rcode) {
                Ok(0) => {
                    self.serial = None;
                    self.counters.updates += 1;
                    self.counters.repaired += u64::from(why == Why::Drifted);
                    self.said.push(UpdaterEffect::Tell(format!(
                        "`{}`: {target} has {}{}",
                        self.settings.name,
                        held.describe(),
                        reason(why)
                    )));
                    name.written(held);
                }
                Ok(code) if PREREQUISITES.contains(&code) => {
                    self.counters.overtaken += 1;
                    name.overtaken(now);
                }
                Ok(code) => name.refused(now, Failure::Update(code)),
                Err(failure) => name.refused(now, failure.clone()),
            }
        }
        self.judge_all();
    }
}

const fn reason(why: Why) -> &'static str {
    match why {
        Why::New | Why::Changed => "",
        Why::Renewed => " (its mark is that of this Plan now)",
        Why::Drifted => " (repaired)",
        Why::Adopted => " (taken over)",
    }
}

/// What a name has after this update.
fn after(wanted: &DesiredName, (held, only_if): (Option<&Held>, &OnlyIf), mark: &Mark) -> Held {
    let mut texts = match only_if {
        OnlyIf::NotInUse => Vec::new(),
        OnlyIf::Texts { all, ours, .. } => {
            all.iter().filter(|data| !ours.contains(data)).cloned().collect()
        }
    };
    let Content { ttl, ipv4, ipv6 } = wanted.content.clone();
    let of_others = held.and_then(|held| held.text_ttl).filter(|_| !texts.is_empty());
    let text_ttl = Some(of_others.unwrap_or(ttl));
    texts.push(mark.to_data());
    texts.sort_unstable();
    Held { ttl: Some(ttl), ipv4, ipv6, alias: None, texts, text_ttl }
}
