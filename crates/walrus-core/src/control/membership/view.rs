//! Who is master, and who hears whom, in one Controller's eyes.
//!
//! **Problem.** Hearing is not transitive in a wide area: A and B may both hear C and not each other. If each
//! took the first of those that it hears, A and B would both be master, and C's Directors would get two Plans.
//!
//! **Rule.** Candidates are the Controller itself, those that it hears, and those that one of these says it
//! hears; the master is the first of them ([`elect`]). Whoever is heard by none of those that it has heard for a
//! detection time is *mute*: the others cannot see it, and have another master. It is no candidate in its own eyes, and
//! says so, so that whoever hears it, or of it, does not take it for one either. Only where all in view are mute, one of
//! these is taken.
//!
//! **Why there always is one.** The first of all that are not mute has in view none that would come before it, and so
//! takes itself; if all are mute, the first of all does.
//!
//! **When it is wrong.** Only two steps are looked at. In a chain A-C-D-B, B does not know of A and is master in its
//! own eyes, though D defers to A; Plan numbers still only rise for everybody.
//!
//! **Example.** A joined before C, C before B; A and B do not hear each other. B hears C, who says that it hears A:
//! A is master in all eyes. Three joined in the order A, B, C; A does not hear C, and B does not hear A. A hears B alone,
//! which does not hear it: it is mute. C hears both, and takes B; so does B, whom C tells that A is mute.

use std::collections::BTreeMap;

use crate::control::{Candidacy, elect};
use crate::message::Presence;
use crate::world::Name;

/// Another Controller that is heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer<'a> {
    pub(super) name: &'a Name,
    pub(super) presence: &'a Presence,
    /// It has been heard for longer than a detection time.
    pub(super) is_settled: bool,
}

impl Peer<'_> {
    pub(super) fn hears(&self, other: &Name) -> bool {
        self.presence.heard.iter().any(|heard| heard.name == *other)
    }

    const fn candidacy(&self) -> Candidacy {
        Candidacy { joined: self.presence.joined, hears: self.presence.hears }
    }
}

/// Whether `own` is heard by none of those that it has heard for long enough to know.
pub(super) fn is_mute(own: &Name, peers: &[Peer<'_>]) -> bool {
    let mut settled = peers.iter().filter(|peer| peer.is_settled).peekable();
    settled.peek().is_some() && settled.all(|peer| !peer.hears(own))
}

/// The master in the eyes of `own`, whose candidacy is `None` before it has joined. Those in `left` said that they
/// end, whatever others say of them.
pub(super) fn master<'a>(
    own: &Name,
    candidacy: Option<Candidacy>,
    peers: &[Peer<'a>],
    left: impl IntoIterator<Item = &'a Name>,
) -> Option<Name> {
    let mut candidates: BTreeMap<&Name, (Candidacy, bool)> = BTreeMap::new();
    for heard in peers.iter().flat_map(|peer| &peer.presence.heard) {
        let claimed = Candidacy { joined: heard.joined, hears: heard.hears };
        candidates.insert(&heard.name, (claimed, heard.mute));
    }
    for name in left {
        candidates.remove(name);
    }
    // What one says of itself is worth more than what others say of it.
    candidates.extend(peers.iter().map(|peer| (peer.name, (peer.candidacy(), peer.presence.mute))));
    candidates.remove(own);
    if let Some(candidacy) = candidacy {
        candidates.insert(own, (candidacy, is_mute(own, peers)));
    }
    let of = |mute: bool| candidates.iter().filter(move |it| it.1.1 == mute);
    let first = |mute: bool| elect(of(mute).map(|(name, (candidacy, _))| (*name, *candidacy)));
    first(false).or_else(|| first(true)).cloned()
}

/// A maximal set of Controllers that all hear each other, `own` among them: the first to have joined come
/// first, so that its members find the same one where that is possible.
pub(super) fn side(own: &Name, peers: &[Peer<'_>]) -> Vec<Name> {
    let mut order: Vec<&Peer<'_>> = peers.iter().filter(|peer| peer.hears(own)).collect();
    order.sort_by_key(|peer| (peer.presence.joined, peer.name));
    let mut side: Vec<&Peer<'_>> = Vec::new();
    for peer in order {
        if side.iter().all(|other| other.hears(peer.name) && peer.hears(other.name)) {
            side.push(peer);
        }
    }
    let mut names: Vec<Name> = side.iter().map(|peer| peer.name.clone()).collect();
    names.push(own.clone());
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Heard;

    /// Controllers with join number and whether they hear the world; who hears whom.
    struct Group {
        names: Vec<Name>,
        joined: Vec<(u64, bool)>,
        hears: Vec<(usize, usize)>,
    }

    impl Group {
        fn new(members: &[(&str, u64, bool)], hears: &str) -> Self {
            let names: Vec<Name> = members.iter().map(|it| it.0.parse().unwrap()).collect();
            let place = |name: &str| names.iter().position(|it| it.as_str() == name).unwrap();
            let mut pairs = Vec::new();
            for pair in hears.split_whitespace() {
                let (one, two) = pair.split_once(['-', '<']).unwrap();
                pairs.push((place(one), place(two)));
                if pair.contains('-') {
                    pairs.push((place(two), place(one)));
                }
            }
            Self { joined: members.iter().map(|it| (it.1, it.2)).collect(), hears: pairs, names }
        }

        fn presence(&self, of: usize) -> Presence {
            let heard = self.hears.iter().filter(|pair| pair.0 == of).map(|pair| Heard {
                name: self.names[pair.1].clone(),
                session: Some(1),
                joined: self.joined[pair.1].0,
                hears: self.joined[pair.1].1,
                mute: self.is_mute(pair.1),
            });
            Presence {
                joined: self.joined[of].0,
                hears: self.joined[of].1,
                mute: self.is_mute(of),
                heard: heard.collect(),
                ..Presence::default()
            }
        }

        fn is_mute(&self, one: usize) -> bool {
            let mut heard = self.hears.iter().filter(|pair| pair.0 == one).peekable();
            heard.peek().is_some() && heard.all(|pair| !self.hears.contains(&(pair.1, one)))
        }

        /// In the eyes of each: the master and the side.
        fn seen(&self) -> Vec<(String, String)> {
            let presences: Vec<Presence> =
                (0..self.names.len()).map(|member| self.presence(member)).collect();
            let seen = |own: usize| {
                let heard = self.hears.iter().filter(|pair| pair.0 == own);
                let peers: Vec<Peer<'_>> = heard
                    .map(|pair| Peer {
                        name: &self.names[pair.1],
                        presence: &presences[pair.1],
                        is_settled: true,
                    })
                    .collect();
                let (joined, hears) = self.joined[own];
                let own = &self.names[own];
                let master = master(own, Some(Candidacy { joined, hears }), &peers, []);
                let side: Vec<String> = side(own, &peers).iter().map(Name::to_string).collect();
                (master.map_or_else(String::new, |it| it.to_string()), side.concat())
            };
            (0..self.names.len()).map(seen).collect()
        }
    }

    #[test]
    fn everybody_sees_one_master_where_one_can_be() {
        let abc = [("a", 1, true), ("b", 2, true), ("c", 3, true)];
        for (members, hears, masters, why) in [
            (&abc[..], "a-b b-c a-c", "aaa", "all hear all"),
            (&abc, "a-c b-c", "aaa", "a and b do not hear each other"),
            (&abc, "", "abc", "nobody hears anybody"),
            (&abc, "b-c", "abb", "a is alone"),
            (&[("a", 1, false), ("b", 2, true), ("c", 3, true)], "a-b b-c a-c", "bbb", "a is deaf"),
            (&[("a", 1, false), ("b", 2, false)], "a-b", "aa", "all are deaf"),
            (&[("b", 1, true), ("a", 1, true)], "a-b", "aa", "ties by name"),
            (&abc, "b<a c<a b-c", "aaa", "a hears nobody and is heard"),
            (&abc, "a<b a<c b-c", "bbb", "a is heard by nobody and defers"),
            (&abc, "a<b c<a b-c", "bbb", "a hears b alone, and is heard by c alone"),
            (&abc, "a<b b<c c<a", "aaa", "all are mute"),
            (
                &[("a", 1, true), ("c", 2, true), ("d", 3, true), ("b", 4, true)],
                "a-c c-d d-b",
                "aaac",
                "a chain: b does not know of a",
            ),
        ] {
            let seen: String =
                Group::new(members, hears).seen().into_iter().map(|it| it.0).collect();
            assert_eq!(seen, masters, "{why}");
        }
    }

    /// Of all ways in which four may hear each other: of those that hear or are heard by each other, directly or by
    /// others, one at least takes itself for the master; all agree where all have all in view.
    #[test]
    fn however_they_hear_each_other_there_is_a_master() {
        let members = [("a", 1, true), ("b", 2, true), ("c", 3, true), ("d", 4, true)];
        let ways = |from: usize| (0..4).filter(move |to| *to != from).map(move |to| (from, to));
        let ways: Vec<(usize, usize)> = (0..4).flat_map(ways).collect();
        for mask in 0..1_u32 << ways.len() {
            let mut group = Group::new(&members, "");
            let is_set = |bit: &usize| mask & (1 << bit) != 0;
            group.hears = (0..ways.len()).filter(is_set).map(|bit| ways[bit]).collect();
            let hears = |one: usize, other: usize| group.hears.contains(&(one, other));
            let masters: Vec<String> = group.seen().into_iter().map(|it| it.0).collect();
            let is_master = |one: &usize| masters[*one] == members[*one].0;
            let mut component = [0, 1, 2, 3];
            for _ in 0..4 {
                for (one, other) in &group.hears {
                    let least = component[*one].min(component[*other]);
                    (component[*one], component[*other]) = (least, least);
                }
            }
            for root in 0..4 {
                let here: Vec<usize> = (0..4).filter(|it| component[*it] == root).collect();
                let in_view = |one: usize, other: usize| {
                    one == other
                        || hears(one, other)
                        || (0..4).any(|third| hears(one, third) && hears(third, other))
                };
                let is_whole = here.iter().all(|one| here.iter().all(|it| in_view(*one, *it)));
                let count = here.iter().filter(|it| is_master(it)).count();
                let agree = here.iter().all(|it| masters[*it] == masters[here[0]]);
                assert!(here.is_empty() || count >= 1, "{:?}: {masters:?}", group.hears);
                assert!(!is_whole || here.is_empty() || (count == 1 && agree), "{:?}", group.hears);
            }
        }
    }

    #[test]
    fn who_says_that_it_ends_is_no_candidate_whatever_others_say_of_it() {
        let group = Group::new(&[("a", 1, true), ("b", 2, true), ("c", 3, true)], "a-b a-c b-c");
        let (presence, name) = (group.presence(1), &group.names[1]);
        let peer = Peer { name, presence: &presence, is_settled: true };
        let own = Some(Candidacy { joined: 3, hears: true });
        let found = |left: &[Name]| master(&group.names[2], own, &[peer], left).unwrap();
        assert_eq!((found(&[]).as_str(), found(&group.names[..1]).as_str()), ("a", "b"));
    }

    #[test]
    fn a_side_is_who_hears_each_other() {
        let abcd = [("a", 1, true), ("b", 2, true), ("c", 3, true), ("d", 4, true)];
        for (hears, sides) in [
            ("", "a b c d"),
            ("a-b c-d", "ab ab cd cd"),
            ("a-b b-c a-c", "abc abc abc d"),
            ("a-c b-c", "ac bc ac d"),
            ("a<b b-c", "a bc bc d"),
        ] {
            let seen = Group::new(&abcd, hears).seen().into_iter().map(|it| it.1);
            assert_eq!(seen.collect::<Vec<_>>().join(" "), sides, "{hears}");
        }
    }

    #[test]
    fn who_has_not_joined_is_no_candidate() {
        let own: Name = "a".parse().unwrap();
        assert_eq!(master(&own, None, &[], []), None);
        let group = Group::new(&[("a", 0, true), ("b", 5, false)], "a-b");
        let (presence, name) = (group.presence(1), &group.names[1]);
        let peer = Peer { name, presence: &presence, is_settled: false };
        assert_eq!(master(&own, None, &[peer], []).as_ref(), Some(name));
    }
}
