//! Plans in parts that a bus carries, whole or as differences, and together again.
//!
//! **Problem.** A bus limits a message (NATS: 1 MiB), loses some, and a Director that comes late has heard none.
//!
//! **Rule.** The master says each Plan as a difference to the one before it, if that is shorter. Whoever cannot use
//! it, because it holds another Plan or a part was lost, asks for the whole one: at once if the Plan before is neither
//! held nor on its way, else when the rest has not come within [`PATIENCE`]; again after 500 ms, doubling to 10 s.
//! That there is a newer Plan is also known from what Controllers say of theirs ([`PlanReceiver::number_seen`]).
//! Nothing is believed before all parts are there, the digest fits, and the Plan is found valid. A Plan at
//! or below the one that is held is never given out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Plan, PlanDifference, PlanNumber, apply, difference};
use crate::world::{Digest, Time};

/// The most parts of a Plan.
pub const PLAN_PARTS_MAX: u32 = 4096;

/// The longest text of a Plan, in bytes: ten times that of 10,000 servers in 1,000 areas.
pub const PLAN_TEXT_MAX: usize = 64 << 20;

/// What a part has besides its text at most, in bytes: numbers, digest, sender.
const HEAD_LEN_MAX: usize = 1024;

/// The shortest text of a part, in bytes: what a character may take as JSON.
const TEXT_MIN: usize = 16;

/// Plans that are put together at the same time.
const UNDER_WAY_MAX: usize = 4;

/// After the last part came in, or after it was said that there is a newer Plan, the rest may take so long.
const PATIENCE: Duration = Duration::from_millis(250);

/// After the first question, and at most, it is asked again.
const AGAIN_MIN: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// Nobody was heard for so long: who answers now may not have heard the questions before.
const CUT: Duration = Duration::from_secs(3);

/// Nobody has said for so long that there is a newer Plan: it is asked for no longer.
const SAID_HOLDS: Duration = Duration::from_secs(30);

/// A part of a Plan or of a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPart {
    /// The number of the Plan that comes out.
    pub number: PlanNumber,
    /// The Plan that the difference is to; `None` if the text is a whole Plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<PlanNumber>,
    /// Which part, from 0.
    pub part: u32,
    /// How many there are; at most [`PLAN_PARTS_MAX`].
    pub parts: u32,
    /// Of the whole text.
    pub digest: Digest,
    /// This part of the text: JSON of a [`Plan`] or of a [`PlanDifference`].
    pub text: String,
}

/// Somebody lacks the newest Plan and wants it whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanWanted {
    /// What it holds; only newer Plans are of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<PlanNumber>,
}

/// Plans into parts.
#[derive(Clone, Debug, Default)]
pub struct PlanSender {
    /// The text of the last whole Plan: many may ask for it one after the other.
    whole: Option<(PlanNumber, String)>,
}

impl PlanSender {
    /// The Plan as a difference to the one before it, if that is shorter than the whole, in messages
    /// of at most `bytes_max`. The one before is what the others hold: [`PlanReceiver::held`], of which
    /// the sender's own Plans are told too ([`PlanReceiver::hold`]).
    pub fn parts(
        &mut self,
        plan: &Arc<Plan>,
        before: Option<&Arc<Plan>>,
        bytes_max: usize,
    ) -> Vec<PlanPart> {
        if let Some(before) = before {
            let text = json(&difference(before, plan));
            if text.len() < self.text(plan).len() {
                let base = Some(before.number.clone());
                return split(&text, &plan.number, base.as_ref(), bytes_max);
            }
        }
        self.whole(plan, bytes_max)
    }

    /// The whole Plan in messages of at most `bytes_max`.
    pub fn whole(&mut self, plan: &Arc<Plan>, bytes_max: usize) -> Vec<PlanPart> {
        split(self.text(plan), &plan.number, None, bytes_max)
    }

    fn text(&mut self, plan: &Plan) -> &str {
        let kept = self.whole.take().filter(|(number, _)| *number == plan.number);
        let text = kept.unwrap_or_else(|| (plan.number.clone(), json(plan)));
        &self.whole.insert(text).1
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| unreachable!("Plans have string keys only"))
}

/// Cuts a text so that each part, as JSON in a message, has its place.
fn split(
    text: &str,
    number: &PlanNumber,
    base: Option<&PlanNumber>,
    bytes_max: usize,
) -> Vec<PlanPart> {
    let room = bytes_max.saturating_sub(HEAD_LEN_MAX).max(TEXT_MIN);
    let mut texts = Vec::new();
    let (mut start, mut taken) = (0, 0);
    for (at, character) in text.char_indices() {
        let len = len_in_json(character);
        if taken + len > room {
            texts.push(&text[start..at]);
            (start, taken) = (at, 0);
        }
        taken += len;
    }
    texts.push(&text[start..]);
    let digest = Digest::of([text.as_bytes()]);
    let parts = u32::try_from(texts.len()).unwrap_or(u32::MAX);
    let part = |(part, text): (u32, &str)| PlanPart {
        number: number.clone(),
        base: base.cloned(),
        part,
        parts,
        digest: digest.clone(),
        text: text.to_owned(),
    };
    (0..).zip(texts).map(part).collect()
}

const fn len_in_json(character: char) -> usize {
    match character {
        '"' | '\\' => 2,
        '\0'..='\u{1f}' => 6,
        _ => character.len_utf8(),
    }
}

/// Parts into Plans.
#[derive(Clone, Debug)]
pub struct PlanReceiver {
    held: Option<Arc<Plan>>,
    under_way: BTreeMap<Key, UnderWay>,
    /// Parts that came for Plans under way.
    turns: u64,
    /// The highest number that is said to be there, and when that was said last.
    seen: Option<(PlanNumber, Time)>,
    /// When the newest Plan is to be asked for, if it is lacking.
    ask_at: Option<Time>,
    again: Duration,
}

type Key = (PlanNumber, Option<PlanNumber>, Digest);

/// A Plan of which parts have come.
#[derive(Clone, Debug)]
struct UnderWay {
    parts: u32,
    texts: BTreeMap<u32, String>,
    bytes: usize,
    /// [`PlanReceiver::turns`] when its last part came.
    turn: u64,
}

impl PlanReceiver {
    /// Whoever holds this Plan, or none, and has heard nothing yet.
    #[must_use]
    pub const fn new(held: Option<Arc<Plan>>) -> Self {
        Self {
            held,
            under_way: BTreeMap::new(),
            turns: 0,
            seen: None,
            ask_at: None,
            again: AGAIN_MIN,
        }
    }

    /// The Plan that is held.
    #[must_use]
    pub const fn held(&self) -> Option<&Arc<Plan>> {
        self.held.as_ref()
    }

    /// A Plan that came another way is held now: the Controller's own. Nothing changes if it is older.
    pub fn hold(&mut self, plan: Arc<Plan>) {
        if self.is_newer(&plan.number) {
            self.held = Some(plan);
            self.settle();
        }
    }

    /// Takes a part in, and gives out the newest Plan that is complete with it.
    pub fn take(&mut self, now: Time, part: PlanPart) -> Option<Arc<Plan>> {
        if !self.is_newer(&part.number) || !part.number.is_plausible() || !part.is_sound() {
            return None;
        }
        self.note(now, &part.number);
        let PlanPart { number, base, part, parts, digest, text } = part;
        let is_of_use = base.as_ref().is_none_or(|base| self.is_held(base) || self.comes(base));
        let key = (number, base, digest);
        let under_way = self.under_way.entry(key).or_insert_with(|| UnderWay {
            parts,
            texts: BTreeMap::new(),
            bytes: 0,
            turn: 0,
        });
        self.turns += 1;
        under_way.turn = self.turns;
        if under_way.parts == parts && !under_way.texts.contains_key(&part) {
            under_way.bytes += text.len();
            under_way.texts.insert(part, text);
            if is_of_use {
                // The rest is on its way; a question that was asked is given its time all the same.
                let asked = self.ask_at.filter(|_| self.again > AGAIN_MIN);
                self.ask_at = Some(asked.map_or(now + PATIENCE, |at| at.max(now + PATIENCE)));
            }
        }
        self.bound();
        let taken = self.complete();
        if taken.is_none() && self.lacks_ground() {
            self.ask_at = Some(now);
        }
        taken
    }

    /// Somebody says that there is a Plan of this number.
    pub fn number_seen(&mut self, now: Time, number: &PlanNumber) {
        if self.is_newer(number) && number.is_plausible() {
            self.note(now, number);
        }
    }

    /// Whether the newest Plan is to be asked for now. Call at [`Self::next_deadline`] and after each part.
    pub fn poll(&mut self, now: Time) -> Option<PlanWanted> {
        let at = self.ask_at.filter(|at| *at <= now)?;
        let said_at = self.seen.as_ref().map_or(at, |(_, said_at)| *said_at);
        if now.since(said_at) >= SAID_HOLDS {
            self.seen = None;
            self.settle();
            return None;
        }
        self.ask_at = Some(now + self.again);
        self.again = (self.again * 2).min(AGAIN_MAX);
        Some(PlanWanted { held: self.held.as_ref().map(|held| held.number.clone()) })
    }

    /// When to call [`Self::poll`] next.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Time> {
        self.ask_at
    }

    fn is_newer(&self, number: &PlanNumber) -> bool {
        self.held.as_ref().is_none_or(|held| held.number < *number)
    }

    fn is_held(&self, number: &PlanNumber) -> bool {
        self.held.as_ref().is_some_and(|held| held.number == *number)
    }

    /// Whether parts of this Plan have come.
    fn comes(&self, number: &PlanNumber) -> bool {
        self.under_way.keys().any(|(comes, ..)| comes == number)
    }

    /// A newer Plan is known of.
    fn note(&mut self, now: Time, number: &PlanNumber) {
        let (seen, was_cut) = match self.seen.take() {
            Some((seen, said_at)) => (seen.max(number.clone()), now.since(said_at) >= CUT),
            None => (number.clone(), true),
        };
        self.seen = Some((seen, now));
        if was_cut {
            self.again = AGAIN_MIN;
            self.ask_at = Some(self.ask_at.map_or(now + PATIENCE, |at| at.min(now + PATIENCE)));
        }
    }

    /// What is under way stays within its bounds: whatever has waited longest for a part makes way.
    fn bound(&mut self) {
        while self.under_way.len() > UNDER_WAY_MAX || self.kept_bytes() > PLAN_TEXT_MAX {
            let oldest = self.under_way.iter().min_by_key(|(_, it)| it.turn);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
            self.under_way.remove(&key);
        }
    }

    /// The texts of parts that are kept.
    pub(super) fn kept_bytes(&self) -> usize {
        self.under_way.values().map(|it| it.bytes).sum()
    }

    /// Whether a difference comes, and the Plan that it is to is neither held nor on its way.
    fn lacks_ground(&self) -> bool {
        let mut bases = self.under_way.keys().filter_map(|(_, base, _)| base.as_ref());
        let lacks = bases.any(|base| !self.is_held(base) && !self.comes(base));
        let whole_comes = self.under_way.keys().any(|(_, base, _)| base.is_none());
        lacks && !whole_comes && self.again == AGAIN_MIN
    }

    /// Puts together what is complete, until nothing more comes of it.
    fn complete(&mut self) -> Option<Arc<Plan>> {
        let mut newest = None;
        loop {
            let held = self.held.as_ref().map(|held| held.number.clone());
            let usable = |((_, base, _), it): &(&Key, &UnderWay)| {
                it.is_complete() && (base.is_none() || *base == held)
            };
            // The newest first: what is older is then of no use.
            let Some(key) = self.under_way.iter().rev().find(usable).map(|(key, _)| key.clone())
            else {
                return newest;
            };
            let Some(it) = self.under_way.remove(&key) else { return newest };
            if let Some(plan) = it.plan(&key, self.held.as_deref()) {
                let plan = Arc::new(plan);
                self.held = Some(plan.clone());
                newest = Some(plan);
                self.settle();
            }
        }
    }

    /// Another Plan is held: what is not newer is of no use.
    fn settle(&mut self) {
        let held = self.held.as_ref().map(|held| held.number.clone());
        let is_newer = |number: &PlanNumber| held.as_ref().is_none_or(|held| held < number);
        self.under_way.retain(|(number, ..), _| is_newer(number));
        self.again = AGAIN_MIN;
        if self.seen.as_ref().is_none_or(|(seen, _)| !is_newer(seen)) {
            self.seen = None;
            self.ask_at = None;
        }
    }
}

impl PlanPart {
    fn is_sound(&self) -> bool {
        let counts = self.part < self.parts && self.parts <= PLAN_PARTS_MAX;
        let rises = self.base.as_ref().is_none_or(|base| *base < self.number);
        counts && rises && self.text.len() <= PLAN_TEXT_MAX
    }
}

impl UnderWay {
    fn is_complete(&self) -> bool {
        u32::try_from(self.texts.len()) == Ok(self.parts)
    }

    /// The Plan, if the text is what was meant and makes a valid one.
    fn plan(self, (number, base, digest): &Key, held: Option<&Plan>) -> Option<Plan> {
        let text: String = self.texts.into_values().collect();
        if Digest::of([text.as_bytes()]) != *digest {
            return None;
        }
        let plan: Plan = if base.is_some() {
            let difference: PlanDifference = serde_json::from_str(&text).ok()?;
            apply(&difference, held?).ok()?
        } else {
            serde_json::from_str(&text).ok()?
        };
        (plan.number == *number && plan.validate().is_ok()).then_some(plan)
    }
}
