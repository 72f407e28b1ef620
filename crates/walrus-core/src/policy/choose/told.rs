//! What answering threads tell each other of what they gave, so that each weighs servers as if it had
//! given all answers itself.
//!
//! The shell carries it: every second or so it asks each thread for its [`Told`]s, and hands each one
//! the sum of all the others' ([`Exchange`]). A thread copies two numbers a server (`crml` one more a
//! server and hot domain), and neither locks nor allocates. Between two exchanges a thread does not see what the others give: how far that
//! leaves the whole from one that sees everything is measured in the tests of this module.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ChooseInputs;
use super::grants::Living;
use super::hot_grants::HotGrants;
use crate::world::{ChoosePolicy, Time};

/// One service's part of what a thread tells, or of what it hears of all others.
#[derive(Clone, Debug)]
pub struct Told {
    pub(super) inputs: Arc<ChooseInputs>,
    /// When.
    pub(super) at: Time,
    /// Of how many threads it is the sum.
    pub(super) speakers: u32,
    pub(super) word: Word,
}

/// By policy, each by the servers' places.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Nothing,
    /// Living grants as of then.
    Grants(Box<[Living]>),
    /// Likewise, and those of hot domains.
    Charged(Box<[Living]>, HotGrants),
    /// What was added to bins.
    Bins(Box<[f64]>),
}

impl Told {
    /// Room for what there is to tell of a service; `None` if its policy has nothing to tell.
    #[must_use]
    pub fn new(inputs: &Arc<ChooseInputs>) -> Option<Self> {
        let servers = inputs.servers.len();
        let living = || vec![Living::default(); servers].into_boxed_slice();
        let word = match inputs.policy {
            ChoosePolicy::RoundRobin
            | ChoosePolicy::Weighted
            | ChoosePolicy::Random
            | ChoosePolicy::Pow2
            | ChoosePolicy::Rr2
            | ChoosePolicy::Prr2 => return None,
            ChoosePolicy::Hash | ChoosePolicy::Mrl => Word::Grants(living()),
            ChoosePolicy::Crml => Word::Charged(living(), HotGrants::new(&inputs.observed)),
            ChoosePolicy::Dal => Word::Bins(vec![0.0; servers].into()),
        };
        Some(Self { inputs: Arc::clone(inputs), at: Time::ZERO, speakers: 0, word })
    }

    /// Whose it is, and of which servers.
    #[must_use]
    pub const fn inputs(&self) -> &Arc<ChooseInputs> {
        &self.inputs
    }

    /// Adds what another thread told, as of this one's time.
    fn add(&mut self, other: &Self) {
        let seconds = self.at.as_secs_f64() - other.at.as_secs_f64();
        let before = self.inputs.before(&other.inputs);
        match (&mut self.word, &other.word) {
            (Word::Grants(sums), Word::Grants(told)) => add_living(sums, told, seconds, before),
            (Word::Charged(sums, grants), Word::Charged(told, told_grants)) => {
                let from = (&*other.inputs.observed, told_grants);
                grants.carry(&self.inputs.observed, from, &before);
                add_living(sums, told, seconds, before);
            }
            (Word::Bins(sums), Word::Bins(told)) => {
                for (place, sum) in sums.iter_mut().enumerate() {
                    *sum += before(place).and_then(|was| told.get(was)).copied().unwrap_or(0.0);
                }
            }
            // Under another policy of the service nothing of it counts.
            _ => {}
        }
    }
}

fn add_living(
    sums: &mut [Living],
    told: &[Living],
    seconds: f64,
    before: impl Fn(usize) -> Option<usize>,
) {
    for (place, sum) in sums.iter_mut().enumerate() {
        if let Some(told) = before(place).and_then(|was| told.get(was)) {
            sum.add(told.faded(seconds));
        }
    }
}

/// Where the threads of one process tell each other.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    threads: Vec<Thread>,
}

#[derive(Clone, Debug, Default)]
struct Thread {
    /// What it told last: one entry a service.
    told: Vec<Told>,
    /// What others added to bins since it heard, by service.
    unheard: BTreeMap<String, Told>,
}

impl Exchange {
    /// For so many threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self { threads: vec![Thread::default(); threads] }
    }

    /// Takes in what a thread tells, in place of what it told before. What there is no thread for is
    /// left out.
    pub fn tell(&mut self, thread: usize, told: Vec<Told>) {
        if thread >= self.threads.len() {
            return;
        }
        for (_, other) in self.threads.iter_mut().enumerate().filter(|(index, _)| *index != thread)
        {
            let bins = told.iter().filter(|told| matches!(told.word, Word::Bins(_)));
            bins.for_each(|told| other.add_unheard(told));
        }
        self.threads[thread].told = told;
    }

    /// What all others told, in the places of these inputs and as of `now`; additions to bins are
    /// told once. Services that are in no inputs any more are forgotten.
    pub fn hear<'a>(
        &mut self,
        thread: usize,
        inputs: impl Iterator<Item = &'a Arc<ChooseInputs>>,
        now: Time,
    ) -> Vec<Told> {
        let unheard = self.threads.get_mut(thread).map(|it| std::mem::take(&mut it.unheard));
        let mut sums: Vec<Told> = inputs.filter_map(Told::new).collect();
        let others = self.threads.iter().enumerate().filter(|(index, _)| *index != thread);
        let others = others.filter(|(_, other)| !other.told.is_empty());
        let speakers = u32::try_from(others.clone().count()).unwrap_or(u32::MAX);
        let others = others.flat_map(|(_, other)| &other.told).map(|part| (part, false));
        for sum in &mut sums {
            sum.at = now;
            sum.speakers = speakers;
        }
        let mut place_of: BTreeMap<String, usize> = BTreeMap::new();
        for (place, sum) in sums.iter().enumerate() {
            place_of.insert(sum.inputs.service.clone(), place);
        }
        let unheard = unheard.unwrap_or_default();
        for (part, is_unheard) in unheard.values().map(|part| (part, true)).chain(others) {
            let sum = place_of.get(&part.inputs.service).and_then(|place| sums.get_mut(*place));
            // Bins tell what is new, all else what there is.
            let sum = sum.filter(|sum| matches!(sum.word, Word::Bins(_)) == is_unheard);
            if let Some(sum) = sum {
                sum.add(part);
            }
        }
        sums
    }
}

impl Thread {
    fn add_unheard(&mut self, told: &Told) {
        let Some(unheard) = self.unheard.get_mut(&told.inputs.service) else {
            self.unheard.insert(told.inputs.service.clone(), told.clone());
            return;
        };
        if !unheard.inputs.numbers_alike(&told.inputs) {
            // The newer places: what was added to servers that are gone is gone with them.
            if let Some(mut moved) = Told::new(&told.inputs) {
                moved.add(unheard);
                *unheard = moved;
            }
        }
        unheard.add(told);
    }
}
