//! What was expected, and what came.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Stage;
use crate::client::Asked;
use crate::interruption::sleep;
use crate::results::Step;
use crate::script::{Addresses, Expectation, Share, StatusExpectation};

/// Between two looks at what a client got.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Between two questions to nodes.
const STATUS_EVERY: Duration = Duration::from_millis(100);
/// What was left must not come again for so long.
const LEFT_FOR: Duration = Duration::from_secs(2);
/// An answer that took longer was asked for again by somebody on the way.
const SLOW_SECONDS: f64 = 0.5;

/// Resolvers that know the way still try another one now and then, one in twenty as they say.
const SETTLED_SHARE: f64 = 0.9;
/// So many answers show it.
const SETTLED_LEAST: usize = 40;

/// What was expected, what was found instead or in full, and whether that is good.
type Finding = (String, String, bool);

impl Stage {
    pub(super) fn expect(&mut self, client: &str, expectation: &Expectation) -> Result<()> {
        let (what, found, is_good) = match expectation {
            Expectation::Gets(addresses, within) => {
                self.gets(client, &self.meant(addresses)?, *within)?
            }
            Expectation::Leaves(addresses, within) => {
                self.leaves(client, &self.meant(addresses)?, *within)?
            }
            Expectation::AlwaysServed { but } => {
                let what = match but {
                    0 => format!("{client} is always served"),
                    _ => format!("{client} is always served but {but} times"),
                };
                let (found, is_good) = served(&self.since_mark(client)?, *but);
                (what, found, is_good)
            }
            Expectation::Share(expected) => shared(client, &self.since_mark(client)?, expected),
            Expectation::Settles(address, within) => {
                let settled = settled(&self.since_mark(client)?, *address);
                let what = format!("{client} settles on {address} within {within} answers");
                let found = settled.map_or("never for good".to_owned(), |(answers, seconds)| {
                    format!("after {answers} answers, {seconds:.1} s")
                });
                (what, found, settled.is_some_and(|(answers, _)| answers <= *within))
            }
        };
        self.steps.push(Step::expected(self.begin.elapsed(), what, found, is_good));
        Ok(())
    }

    fn meant(&self, addresses: &Addresses) -> Result<Vec<Ipv4Addr>> {
        match addresses {
            Addresses::These(addresses) => Ok(addresses.clone()),
            Addresses::That => Ok(vec![self.that()?.1]),
        }
    }

    /// Waits for the first answer since the last deed that has one of these first.
    fn gets(&mut self, client: &str, addresses: &[Ipv4Addr], within: Duration) -> Result<Finding> {
        let deed = self.deed.saturating_duration_since(self.begin).as_secs_f64();
        let what = format!("{client} gets {}", list(addresses, " or "));
        loop {
            self.look_after()?;
            let asked = self.client(client)?.asked();
            let is_it = |it: &&Asked| it.at + it.took >= deed && it.is_told_of(addresses);
            if let Some(got) = asked.iter().find(is_it) {
                let after = got.at + got.took - deed;
                let is_good = after <= within.as_secs_f64();
                return Ok((what, format!("after {after:.2} s"), is_good));
            }
            let last = asked.last().and_then(|it| it.first);
            drop(asked);
            if self.deed.elapsed() > within {
                let last = last.map_or_else(|| "nothing".to_owned(), |it| it.to_string());
                let found = format!("not within {:.1} s; last was {last}", within.as_secs_f64());
                return Ok((what, found, false));
            }
            sleep(LOOK_EVERY)?;
        }
    }

    /// Looks for so long, from the last deed on, when one of these came last, and what was lost beside that.
    fn leaves(
        &mut self,
        client: &str,
        addresses: &[Ipv4Addr],
        within: Duration,
    ) -> Result<Finding> {
        while self.deed.elapsed() < within + LEFT_FOR {
            self.look_after()?;
            sleep(LOOK_EVERY)?;
        }
        let deed = self.deed.saturating_duration_since(self.begin).as_secs_f64();
        let asked = self.client(client)?.asked();
        let split = asked.iter().position(|it| it.at >= deed).unwrap_or(asked.len());
        let (before, since) = asked.split_at(split);
        // What it never had it cannot leave.
        let was_there = before.iter().rev().find_map(|it| it.first).is_some_and(|last| {
            addresses.contains(&last) || since.iter().any(|it| it.is_told_of(addresses))
        });
        let last = since.iter().rfind(|it| it.is_told_of(addresses)).map(|it| it.at - deed);
        let lost = since.iter().filter(|it| it.problem.is_some());
        let (of_these, of_others): (Vec<&Asked>, Vec<&Asked>) =
            lost.partition(|it| it.is_told_of(addresses));
        let what = format!("{client} leaves {}", list(addresses, " and "));
        let mut found = match last {
            None if was_there => "at once".to_owned(),
            None => "it had another one before".to_owned(),
            Some(last) => format!("last after {last:.2} s"),
        };
        found += &format!(", {} of {} not served", of_these.len(), since.len());
        found += &elsewhere(since.iter());
        if let Some(first) = of_others.first() {
            let problem = first.problem.as_deref().unwrap_or_default();
            found += &format!(
                ", and {} for other reasons, the first at {:.1} s: {problem}",
                of_others.len(),
                first.at
            );
        }
        let in_time = !since.is_empty() && last.is_none_or(|last| last <= within.as_secs_f64());
        Ok((what, found, was_there && in_time && of_others.is_empty()))
    }

    /// Asks all of them again and again, until each has said it or the time is over.
    pub(super) fn expect_status(&mut self, expected: &StatusExpectation) -> Result<()> {
        let mut said: Vec<(String, Result<f64, String>)> =
            expected.nodes.iter().map(|node| (node.clone(), Err("nothing".to_owned()))).collect();
        loop {
            self.look_after()?;
            let is_over = self.deed.elapsed() > expected.within;
            for (node, found) in said.iter_mut().filter(|(_, found)| found.is_err()) {
                let at = self.deed.elapsed().as_secs_f64();
                *found = match self.says(node, &expected.pointer) {
                    Ok(value) if value == expected.value => Ok(at),
                    Ok(value) => Err(value),
                    Err(problem) => Err(format!("{problem:#}")),
                };
            }
            if is_over || said.iter().all(|(_, found)| found.is_ok()) {
                break;
            }
            sleep(STATUS_EVERY)?;
        }
        let within = expected.within.as_secs_f64();
        let found = said.iter().map(|(node, found)| match found {
            Ok(at) => format!("{node} after {at:.2} s"),
            Err(other) => format!("{node} says {other} after {within:.1} s"),
        });
        let found = found.collect::<Vec<_>>().join(", ");
        let is_good = said.iter().all(|(_, it)| it.as_ref().is_ok_and(|at| *at <= within));
        let what = format!("{} is {}", expected.pointer, expected.value);
        self.steps.push(Step::expected(self.begin.elapsed(), what, found, is_good));
        Ok(())
    }

    /// What stands there in a node's status.
    fn says(&self, node: &str, pointer: &str) -> Result<String> {
        let said = self.walrus(node, &["status".to_owned(), "--json".to_owned()])?;
        let status: serde_json::Value = serde_json::from_str(&said)?;
        let found = status.pointer(pointer).with_context(|| format!("nothing at {pointer}"))?;
        Ok(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
    }

    pub(super) fn shares(&mut self, client: &str, address: Ipv4Addr, by: usize) -> Result<()> {
        let asked = self.since_mark(client)?;
        let shares: Vec<f64> = asked.chunks(by).map(|part| share(part, address)).collect();
        let what = format!("{client}: share of {address} in each {by} answers");
        let settled = settled(&asked, address);
        self.steps.push(Step::shares(self.begin.elapsed(), what, shares, settled));
        Ok(())
    }

    pub(super) fn losses(&mut self, client: &str) -> Result<()> {
        let (found, _) = served(&self.since_mark(client)?, 0);
        self.steps.push(Step::told(self.begin.elapsed(), client.to_owned(), found));
        Ok(())
    }

    fn since_mark(&self, client: &str) -> Result<Vec<Asked>> {
        let asked = self.client(client)?.asked();
        Ok(asked.iter().filter(|it| it.at >= self.mark).cloned().collect())
    }
}

/// How many were lost, and how many were late, for somebody on the way had to ask again.
fn served(since: &[Asked], but: usize) -> (String, bool) {
    let lost: Vec<&Asked> = since.iter().filter(|it| it.problem.is_some()).collect();
    let mut found = format!("{} of {} not served", lost.len(), since.len());
    let slow = since.iter().filter(|it| it.problem.is_none() && it.took > SLOW_SECONDS);
    let (count, slowest) =
        slow.fold((0, 0.0_f64), |(count, most), it| (count + 1, most.max(it.took)));
    if count > 0 {
        found += &format!(", {count} late by up to {slowest:.1} s");
    }
    found += &elsewhere(since.iter());
    if let Some(first) = lost.first() {
        let problem = first.problem.as_deref().unwrap_or_default();
        found += &format!(", the first at {:.1} s: {problem}", first.at);
    }
    let is_good = !since.is_empty() && lost.len() <= but;
    (found, is_good)
}

/// How many pages came from another address than the first, and how late.
fn elsewhere<'a>(asked: impl Iterator<Item = &'a Asked>) -> String {
    let late = asked.filter(|it| it.page_from.is_some_and(|from| Some(from) != it.first));
    let (count, slowest) =
        late.fold((0, 0.0_f64), |(count, most), it| (count + 1, most.max(it.page_took)));
    match count {
        0 => String::new(),
        _ => format!(", {count} by another address after up to {slowest:.2} s"),
    }
}

/// Whether enough of it is that address.
fn shared(client: &str, since: &[Asked], expected: &Share) -> Finding {
    let counted = since.get(expected.after..).unwrap_or_default();
    let share = share(counted, expected.address);
    let mut what =
        format!("{client}: share of {} at least {:.0} %", expected.address, expected.least * 100.0);
    if expected.after > 0 {
        what += &format!(", after {} answers", expected.after);
    }
    let mut found = format!("{:.1} % of {}", share * 100.0, counted.len());
    if let Some(predicted) = expected.predicted {
        found += &format!(", predicted {:.0} %", predicted * 100.0);
    }
    (what, found, share >= expected.least)
}

fn list(addresses: &[Ipv4Addr], between: &str) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// How many answers came before it got this address for good, and for how many seconds: from then on nearly all are so.
fn settled(asked: &[Asked], address: Ipv4Addr) -> Option<(usize, f64)> {
    let begin = asked.first()?.at;
    let is_it = |one: &Asked| one.is_told_of(&[address]);
    let behind = (0..asked.len()).filter(|from| is_it(&asked[*from]));
    let mut settled = behind.take_while(|from| asked.len() - from >= SETTLED_LEAST);
    let from = settled.find(|from| share(&asked[*from..], address) >= SETTLED_SHARE)?;
    Some((from, asked[from].at - begin))
}

/// Of the answers with an address.
fn share(asked: &[Asked], address: Ipv4Addr) -> f64 {
    let answered = asked.iter().filter_map(|it| it.first);
    let (mut all, mut its) = (0_u32, 0_u32);
    for first in answered {
        all += 1;
        its += u32::from(first == address);
    }
    if all == 0 { 0.0 } else { f64::from(its) / f64::from(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
    const FAR: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);

    fn asked(at: f64, first: Option<Ipv4Addr>) -> Asked {
        Asked { at, took: 0.0, first, page_from: first, page_took: 0.0, problem: None }
    }

    #[test]
    fn a_share_counts_from_where_it_is_said_and_misses_by_less_than_is_allowed() {
        let answers: Vec<Asked> =
            (0..40).map(|at| asked(at.into(), Some(if at < 20 { FAR } else { NEAR }))).collect();
        let expected = |least, after| Share { address: NEAR, predicted: Some(0.6), least, after };
        let (_, found, is_good) = shared("anna", &answers, &expected(0.5, 0));
        assert_eq!((found.as_str(), is_good), ("50.0 % of 40, predicted 60 %", true));
        assert!(!shared("anna", &answers, &expected(0.51, 0)).2);
        assert!(shared("anna", &answers, &expected(1.0, 20)).2);
        assert!(!shared("anna", &answers, &expected(0.1, 50)).2, "nothing is no share");
    }

    #[test]
    fn a_page_by_another_address_is_no_loss_and_is_told() {
        let mut late = asked(1.0, Some(NEAR));
        (late.page_from, late.page_took) = (Some(FAR), 0.26);
        let (found, is_good) = served(&[asked(0.0, Some(NEAR)), late], 0);
        assert!(is_good);
        assert_eq!(found, "0 of 2 not served, 1 by another address after up to 0.26 s");
    }

    #[test]
    fn who_knows_the_way_is_told_from_who_does_not() {
        let (near, far) = (NEAR, FAR);
        let answers = |is_near: &dyn Fn(u32) -> bool| -> Vec<Asked> {
            let first = |at: u32| Some(if is_near(at) { near } else { far });
            (0..100).map(|at| asked(at.into(), first(at))).collect()
        };
        assert_eq!(settled(&answers(&|at| at >= 3 && at % 20 != 7), near), Some((3, 3.0)));
        assert_eq!(settled(&answers(&|at| at % 3 == 0), near), None);
        assert_eq!(settled(&[], near), None);
    }
}
