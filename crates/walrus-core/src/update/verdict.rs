//! What is to be done about one name: what stands there, against what the Plan wants.

use super::{Content, Desired, DesiredName, Held, Mark, MarkError, OnlyIf};
use crate::config::NameServerSettings;
use crate::plan::PlanNumber;

/// Of TXT records at one name, all of which an update names: half of what a message holds.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// What a record takes beside its data.
const RECORD: usize = 12;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it is as it should be.
    Good,
    /// It is changed, if it still stands as it was read.
    Write {
        /// The prerequisite.
        only_if: OnlyIf,
        /// For people.
        why: Why,
    },
    /// It is not ours: it is told and left alone. The text says whose it is.
    Foreign(String),
    /// A newer Plan than ours is published there: this one has been overtaken.
    Newer(PlanNumber),
    /// Another updater put something else in the place of what this one had put there by the same Plans: it goes
    /// by other settings. Whoever came last stays, for two that took turns would never end.
    Disputed,
}

/// Why a name is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There was nothing.
    New,
    /// The Plan wants something else.
    Changed,
    /// Only the mark: something else may have been wanted since the Plan that it names, and an updater that
    /// is behind must not put that there any more.
    Renewed,
    /// Somebody else changed what is ours.
    Drifted,
    /// Something without a mark is taken over, as the settings want.
    Adopted,
}

/// Judges what was read. `known` is what this updater last saw to be in order there, and since which Plan
/// the same is wanted, as far as it knows.
#[must_use]
pub fn judge(
    held: &Held,
    wanted: &DesiredName,
    desired: &Desired,
    (known, since): (Option<&Content>, &PlanNumber),
    settings: &NameServerSettings,
) -> Verdict {
    if held.is_empty() {
        // What was in order and is gone was removed by somebody.
        let why = if known.is_some() { Why::Drifted } else { Why::New };
        return Verdict::Write { only_if: OnlyIf::NotInUse, why };
    }
    let marks: Vec<(&Vec<u8>, Result<Mark, MarkError>)> =
        held.texts.iter().map(|data| (data, Mark::from_data(data))).collect();
    let is_ours = |mark: &Mark| mark.owner == settings.owner;
    let of_others = marks.iter().find_map(|(_, mark)| match mark {
        Ok(mark) if !is_ours(mark) => Some(format!(
            "it belongs to the owner `{}`: two systems publish the same name; give one of them \
             another zone, or both the same `owner` if they follow the same Plans",
            mark.owner
        )),
        Err(MarkError::Version) => Some(MarkError::Version.to_string()),
        _ => None,
    });
    if let Some(why) = of_others {
        return Verdict::Foreign(why);
    }
    if held.texts.iter().map(|data| data.len() + RECORD).sum::<usize>() > TEXT_BYTES_MAX {
        return Verdict::Foreign(
            "it has more TXT records than an update can name: remove what nobody needs".to_owned(),
        );
    }
    let ours = marks.iter().filter_map(|(data, mark)| Some((*data, mark.as_ref().ok()?)));
    let newest = ours.clone().map(|(_, mark)| mark).max_by_key(|mark| &mark.plan);
    let only_if = |ours: Vec<Vec<u8>>| OnlyIf::Texts {
        all: held.texts.clone(),
        ours,
        alias: held.alias.is_some(),
    };
    let Some(newest) = newest else {
        return unmarked(held, &marks, settings, only_if);
    };
    if newest.plan > desired.plan {
        return Verdict::Newer(newest.plan.clone());
    }
    let ours: Vec<Vec<u8>> = ours.map(|(data, _)| data.clone()).collect();
    let write = |why| Verdict::Write { only_if: only_if(ours.clone()), why };
    if held.is(&wanted.content) && ours.len() == 1 {
        return if newest.plan >= *since { Verdict::Good } else { write(Why::Renewed) };
    }
    let was_changed = match newest.content {
        Some(written) => held.content().is_none_or(|it| it.fingerprint() != written),
        // Of a version that did not say.
        None => known.is_some_and(|known| !held.is(known)) || newest.plan == desired.plan,
    };
    // All Plans since then want the same, and the mark is of one of them.
    let was_ours = known == Some(&wanted.content) && newest.plan >= *since;
    match was_changed {
        true => write(Why::Drifted),
        false if was_ours => Verdict::Disputed,
        false => write(Why::Changed),
    }
}

/// Without a mark of ours.
fn unmarked(
    held: &Held,
    marks: &[(&Vec<u8>, Result<Mark, MarkError>)],
    settings: &NameServerSettings,
    only_if: impl Fn(Vec<Vec<u8>>) -> OnlyIf,
) -> Verdict {
    let is_damaged = |mark: &Result<Mark, MarkError>| *mark == Err(MarkError::Damaged);
    let damaged: Vec<Vec<u8>> = marks
        .iter()
        .filter(|(_, mark)| is_damaged(mark))
        .map(|(data, _)| (*data).clone())
        .collect();
    if settings.adopt {
        return Verdict::Write { only_if: only_if(damaged), why: Why::Adopted };
    }
    Verdict::Foreign(match damaged.is_empty() {
        true => format!(
            "{} stands there without a mark of ours: remove it, or set `adopt = true` to take it \
             over",
            held.describe()
        ),
        false => MarkError::Damaged.to_string(),
    })
}
