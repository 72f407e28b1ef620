//! Differences that an RFC allows, each as a rule that says by whom, in which part of the reply and for which
//! queries. `docs/differences.md` is made of this list.

use super::said::{Part, Said};
use super::seen::Seen;

/// A query, what we said to it and what another server did; one of the two may be silent.
pub(super) struct Case<'a> {
    pub(super) peer: &'static str,
    pub(super) query: &'a Seen,
    pub(super) ours: Option<&'a Said>,
    pub(super) theirs: Option<&'a Said>,
    /// The zones that all serve, in lower case without a dot at the end.
    pub(super) zones: &'a [String],
}

pub(super) struct Rule {
    /// What is different.
    pub(super) name: &'static str,
    /// The RFC, and why we do as we do.
    pub(super) allowed_by: &'static str,
    /// Who differs from us.
    pub(super) peers: &'static [&'static str],
    /// Which parts of a reply it is about.
    about: fn(Part) -> bool,
    holds: fn(&Case<'_>) -> bool,
}

impl Rule {
    pub(super) fn explains(&self, case: &Case<'_>, part: Part) -> bool {
        self.peers.contains(&case.peer) && (self.about)(part) && (self.holds)(case)
    }
}

impl Case<'_> {
    fn our_rcode(&self) -> &str {
        self.ours.map_or("", Said::rcode)
    }

    fn their_rcode(&self) -> &str {
        self.theirs.map_or("", Said::rcode)
    }

    /// We say that the query is wrong.
    fn we_refuse_form(&self) -> bool {
        matches!(self.our_rcode(), "FORMERR" | "NOTIMP" | "BADVERS")
    }

    /// Both say the same error.
    fn is_error(&self) -> bool {
        self.ours.is_some_and(|ours| !ours.is_answer())
    }

    fn is_of_type(&self, types: &[u16]) -> bool {
        self.query.record_type().is_some_and(|it| types.contains(&it))
    }

    /// All that they say in the authority section we say, too.
    fn lacks_proof(&self) -> bool {
        let both = self.ours.zip(self.theirs);
        both.is_some_and(|(ours, theirs)| {
            let ours = &ours.reply.authority;
            theirs.reply.authority.iter().all(|line| ours.contains(line))
        })
    }

    /// All that we say in the authority section they say, too.
    fn has_further_proof(&self) -> bool {
        let swapped = Case { ours: self.theirs, theirs: self.ours, ..*self };
        swapped.lacks_proof()
    }

    fn is_udp(&self) -> bool {
        !self.query.tcp
    }

    /// Bytes that a reply by UDP may have.
    fn room(&self) -> u16 {
        self.query.opt.as_ref().map_or(512, |opt| opt.size.clamp(512, 1232))
    }
}

/// The whole reply is another one.
fn whole_reply(part: Part) -> bool {
    matches!(part, Part::Rcode | Part::Silence | Part::Whole)
}

/// What may differ where both say that something is wrong.
fn frame(part: Part) -> bool {
    matches!(
        part,
        Part::Opt
            | Part::OptFlags
            | Part::Question
            | Part::Header
            | Part::Option(_)
            | Part::Opcode
            | Part::Tc
            | Part::Aa
    )
}

fn any(_: Part) -> bool {
    true
}

fn records(part: Part) -> bool {
    matches!(part, Part::Answer | Part::Authority | Part::Additional | Part::Aa)
}

const ALL: &[&str] = &["BIND", "Knot", "NSD"];
const ANY: u16 = 255;

pub(super) const RULES: &[Rule] = &[
    // Queries that are no well-formed question.
    Rule {
        name: "a query that is cut, has more bytes or records than it says, or a name that points or does not end",
        allowed_by: "RFC 1035, section 4.1.1: FORMERR is for what cannot be interpreted. Walrus interprets all of a \
                     message or nothing; others stop at what they need, or say nothing",
        peers: ALL,
        about: any,
        holds: |case| {
            let points = case.query.question.as_ref().is_some_and(|it| it.name.is_none());
            (!case.query.whole || points) && (case.we_refuse_form() || case.ours.is_none())
        },
    },
    Rule {
        name: "a question count other than one",
        allowed_by: "RFC 9619, section 4: FORMERR",
        peers: ALL,
        about: any,
        holds: |case| case.query.counts[0] != 1 && case.we_refuse_form(),
    },
    Rule {
        name: "no question, but a cookie",
        allowed_by: "RFC 7873, section 5.4: a cookie, with BADCOOKIE if the one that it brings is not the server's. BIND \
                     and NSD say NOERROR to all of them, Knot does not know it",
        peers: ALL,
        about: |part| matches!(part, Part::Rcode | Part::Option(8)),
        holds: |case| {
            case.query.counts == [0, 0, 0, 1]
                && case.query.has_option(10)
                && matches!(case.our_rcode(), "NOERROR" | "BADCOOKIE")
        },
    },
    Rule {
        name: "OPT twice, or where it does not belong",
        allowed_by: "RFC 6891, section 6.1.1: FORMERR",
        peers: ALL,
        about: any,
        holds: |case| {
            (case.query.opt_count > 1 || case.query.opt_misplaced) && case.our_rcode() == "FORMERR"
        },
    },
    Rule {
        name: "EDNS options that do not fill their place",
        allowed_by: "RFC 6891, section 6.1.2: there is no such option; FORMERR as for all that cannot be interpreted",
        peers: ALL,
        about: any,
        holds: |case| {
            case.query.opt.as_ref().is_some_and(|opt| !opt.whole) && case.we_refuse_form()
        },
    },
    Rule {
        name: "records in a query that belong to none",
        allowed_by: "RFC 1035, section 4.1: nothing is said of them; Walrus and others pass over them, or say FORMERR",
        peers: ALL,
        about: any,
        holds: |case| case.query.others > 0,
    },
    Rule {
        name: "errors about a query's form or opcode, in their frame",
        allowed_by: "RFC 6891, section 7, and RFC 1035, section 4.1.1: with or without the question, OPT, its DO flag \
                     and options, and flags that are of no use then",
        peers: ALL,
        about: frame,
        holds: |case| {
            case.is_error()
                && case.our_rcode() == case.their_rcode()
                && case.our_rcode() != "REFUSED"
        },
    },
    Rule {
        name: "a client subnet that is malformed or given twice",
        allowed_by: "RFC 7871, section 7.1.1: FORMERR for what is malformed; whoever does not know the option, passes over it",
        peers: ALL,
        about: any,
        holds: |case| {
            case.our_rcode() == "FORMERR"
                && (case.query.options(8).count() > 1 || case.query.options(8).any(is_bad_subnet))
        },
    },
    Rule {
        name: "a cookie of a length that none has",
        allowed_by: "RFC 7873, section 5.2.2: FORMERR",
        peers: &["Knot", "NSD"],
        about: any,
        holds: |case| {
            case.our_rcode() == "FORMERR"
                && case.query.options(10).any(|data| !matches!(data.len(), 8 | 16..=40))
        },
    },
    Rule {
        name: "several cookies",
        allowed_by: "RFC 7873, section 5.2: only the first counts; others look at all of them, or lose their reply",
        peers: ALL,
        about: any,
        holds: |case| case.query.options(10).count() > 1,
    },
    Rule {
        name: "a server's cookie that is not of sixteen bytes",
        allowed_by: "RFC 7873, section 4: it has 8 to 32; one of others is given anew",
        peers: &["NSD"],
        about: whole_reply,
        holds: |case| {
            (case.theirs.is_none() || case.their_rcode() == "FORMERR")
                && case.query.options(10).any(|data| matches!(data.len(), 16..=23 | 25..=40))
        },
    },
    Rule {
        name: "options that mean nothing to Walrus, and are malformed",
        allowed_by: "RFC 6891, section 6.1.2: an option that is not known is passed over",
        peers: &["BIND"],
        about: whole_reply,
        holds: |case| {
            let has = |code| case.query.has_option(code);
            case.their_rcode() == "FORMERR" && [1, 9, 13, 14, 15, 16, 17].into_iter().any(has)
        },
    },
    Rule {
        name: "a version of EDNS besides 0, with more that is wrong",
        allowed_by: "RFC 6891, section 6.1.3: BADVERS; what else such an OPT record holds is not known",
        peers: ALL,
        about: whole_reply,
        holds: |case| case.our_rcode() == "BADVERS",
    },
    Rule {
        name: "an opcode besides QUERY, with more that is unusual",
        allowed_by: "RFC 1035, section 4.1.1: NOTIMP; or nothing, or what is wrong beside it",
        peers: ALL,
        about: whole_reply,
        holds: |case| case.our_rcode() == "NOTIMP" && case.query.opcode != 0,
    },
    Rule {
        name: "flags that only replies have",
        allowed_by: "RFC 1035, section 4.1.1: they are set in replies, and not looked at in queries",
        peers: &["NSD"],
        about: whole_reply,
        holds: |case| {
            (case.theirs.is_none() || (case.theirs.is_none() || case.their_rcode() == "FORMERR"))
                && (case.query.flags[0] & 6 != 0 || case.query.flags[1] & 0xcf != 0)
        },
    },
    Rule {
        name: "BADCOOKIE instead of an answer",
        allowed_by: "RFC 7873, section 5.2.3: the server decides; Walrus answers, and limits by cookie only under a flood",
        peers: &["Knot"],
        about: whole_reply,
        holds: |case| case.their_rcode() == "BADCOOKIE" && case.query.has_option(10),
    },
    Rule {
        name: "NSID with data in the query",
        allowed_by: "RFC 5001, section 2.1: the data is ignored",
        peers: &["NSD"],
        about: any,
        holds: |case| case.query.options(3).any(|data| !data.is_empty()),
    },
    Rule {
        name: "NSID asked for several times",
        allowed_by: "RFC 5001, section 2.1: it is given once; NSD loses the rest of its reply",
        peers: &["NSD"],
        about: any,
        holds: |case| case.query.options(3).count() > 1,
    },
    // Options of replies.
    Rule {
        name: "the client subnet is echoed",
        allowed_by: "RFC 7871, section 7.2.1: whoever knows the option, echoes it",
        peers: &["Knot", "NSD"],
        about: |part| part == Part::Option(8),
        holds: |case| case.query.has_option(8),
    },
    Rule {
        name: "for how long a connection is kept is told",
        allowed_by: "RFC 7828, section 3.3.2: a server may",
        peers: &["Knot", "NSD"],
        about: |part| part == Part::Option(11),
        holds: |case| case.query.tcp && case.query.has_option(11),
    },
    Rule {
        name: "extended errors",
        allowed_by: "RFC 8914, section 3: a server may give them; Walrus does where it has no Plan or no signatures yet",
        peers: ALL,
        about: |part| part == Part::Option(15),
        holds: |case| case.query.opt.is_some(),
    },
    Rule {
        name: "when a zone expires",
        allowed_by: "RFC 7314, section 3.1: a primary may answer the option with the SOA",
        peers: &["BIND", "Knot"],
        about: |part| part == Part::Option(9),
        holds: |case| case.query.has_option(9),
    },
    Rule {
        name: "AD in a reply that is cut",
        allowed_by: "RFC 4035, section 3.1.6: AD is not a name server's to set, which verifies nothing; BIND repeats the query's",
        peers: &["BIND"],
        about: |part| part == Part::Header,
        holds: |case| {
            case.query.flags[1] & 0x20 != 0
                && case.theirs.is_some_and(|theirs| theirs.reply.truncated)
        },
    },
    Rule {
        name: "a size for replies that is hardly one",
        allowed_by: "RFC 6891, section 6.2.3: below 512 it means 512",
        peers: &["Knot"],
        about: whole_reply,
        holds: |case| {
            case.their_rcode() == "FORMERR"
                && case.query.opt.as_ref().is_some_and(|opt| opt.size < 12)
        },
    },
    Rule {
        name: "CD is copied into the reply",
        allowed_by: "RFC 4035, section 3.1.6: a name server should clear it",
        peers: &["BIND"],
        about: |part| part == Part::Header,
        holds: |case| case.query.flags[1] & 0x10 != 0,
    },
    // Other classes.
    Rule {
        name: "what servers say of themselves in the class CH",
        allowed_by: "RFC 4892, section 3: a convention; the names, AA, the SOA and everything besides are each server's own",
        peers: ALL,
        about: any,
        holds: |case| case.query.class() == Some(3),
    },
    Rule {
        name: "classes besides IN and CH",
        allowed_by: "RFC 1035, section 3.2.4: no server here has zones of others; REFUSED as for every zone that is not ours",
        peers: ALL,
        about: any,
        holds: |case| {
            case.our_rcode() == "REFUSED" && !matches!(case.query.class(), Some(1 | 3) | None)
        },
    },
    // Types that are not about one record set.
    Rule {
        name: "zone transfers",
        allowed_by: "RFC 5936, section 2.2.1, and RFC 1995, section 2: who may not, is told so by one RCODE or another",
        peers: ALL,
        about: any,
        holds: |case| case.is_of_type(&[251, 252]) && case.our_rcode() != "NOERROR",
    },
    Rule {
        name: "ANY",
        allowed_by: "RFC 8482, section 4: one set, or a HINFO made up, or all, or the question once more by TCP",
        peers: ALL,
        about: any,
        holds: |case| case.is_of_type(&[ANY]),
    },
    Rule {
        name: "RRSIG",
        allowed_by: "RFC 8482, section 4: as for ANY, it is many sets' signatures; Walrus gives those of one",
        peers: ALL,
        about: any,
        holds: |case| case.is_of_type(&[46]),
    },
    Rule {
        name: "types that no record can have",
        allowed_by: "RFC 6895, section 3.1: there is none of them, which is NODATA; or an error",
        peers: ALL,
        about: any,
        holds: |case| case.query.record_type().is_some_and(|it| matches!(it, 0 | 41 | 128..=254)),
    },
    // Answers.
    Rule {
        name: "addresses beside an answer",
        allowed_by: "RFC 1034, section 4.3.2, step 6: a help; Walrus keeps answers short. Glue must be there (RFC 9471, section 3.1)",
        peers: ALL,
        about: |part| part == Part::Additional,
        holds: |case| {
            let (Some(ours), Some(theirs)) = (case.ours, case.theirs) else { return false };
            let (ours, theirs) = (&ours.reply, &theirs.reply);
            if ours.is_referral() {
                return ours.glue() == theirs.glue();
            }
            ours.additional.iter().all(|line| theirs.additional.contains(line))
        },
    },
    Rule {
        name: "aliases that lead round",
        allowed_by: "RFC 1034, section 3.6.2: an error for resolvers to signal; a set holds each record once (RFC 2181, section 5)",
        peers: ALL,
        about: any,
        holds: |case| {
            let cut = case.ours.is_some_and(|ours| ours.reply.truncated);
            let mut both = [case.ours, case.theirs].into_iter().flatten();
            both.any(|said| leads_round(&said.reply.answer))
                || (cut && case.their_rcode() == "SERVFAIL")
        },
    },
    Rule {
        name: "the RCODE of what is cut before its last alias",
        allowed_by: "RFC 2181, section 9: what is cut is not used; Walrus gives the RCODE that the whole reply has",
        peers: &["BIND", "Knot"],
        about: |part| part == Part::Rcode,
        holds: |case| {
            let cut = [case.ours, case.theirs].map(|it| it.is_some_and(|it| it.reply.truncated));
            cut == [true, true] && case.their_rcode() == "NOERROR"
        },
    },
    Rule {
        name: "a name that is too long only below a second DNAME",
        allowed_by: "RFC 6672, section 3.2, step 3c: YXDOMAIN at whatever step it is too long; Knot says NXDOMAIN",
        peers: &["Knot"],
        about: |part| part == Part::Rcode,
        holds: |case| case.our_rcode() == "YXDOMAIN" && case.their_rcode() == "NXDOMAIN",
    },
    Rule {
        name: "DNAME at a wildcard",
        allowed_by: "RFC 6672, section 3.3: discouraged, and not defined further; below its very name Walrus, BIND and NSD \
                     follow it, Knot fails",
        peers: &["Knot"],
        about: any,
        holds: |case| {
            let is_dname = |line: &String| line.starts_with("*.") && line.contains(" DNAME ");
            case.ours.is_some_and(|ours| ours.reply.answer.iter().any(is_dname))
        },
    },
    Rule {
        name: "what is cut",
        allowed_by: "RFC 2181, section 9: what fits depends on how names are compressed; what is cut is not used",
        peers: ALL,
        about: |part| part == Part::Tc,
        holds: |case| {
            case.is_udp() && case.room() <= 1232 && case.ours.is_some_and(Said::is_answer)
        },
    },
    Rule {
        name: "NSEC, and SIG, KEY and NXT of old, at an alias that has none",
        allowed_by: "RFC 1034, section 4.3.2, step 3a: an alias is followed; nothing that may stand beside it is there",
        peers: &["BIND", "Knot"],
        about: any,
        holds: |case| {
            let both =
                case.ours.zip(case.theirs).map(|(ours, theirs)| (&ours.reply, &theirs.reply));
            case.is_of_type(&[24, 25, 30, 47])
                && both.is_some_and(|(ours, theirs)| {
                    theirs.answer.is_empty()
                        && (ours.truncated
                            || ours.answer.iter().any(|line| line.contains(" CNAME ")))
                })
        },
    },
    Rule {
        name: "an alias into another zone of the same server",
        allowed_by: "RFC 1034, section 4.3.2, step 3a: go back to step 1, where that zone is found; resolvers ask on\
                     anyway. Behind a wildcard's proof Walrus stays in the zone that proves it",
        peers: ALL,
        about: any,
        holds: |case| {
            case.theirs.is_some_and(|theirs| {
                let reply = &theirs.reply;
                reply.answer.iter().any(|line| {
                    alias(line).is_some_and(|(owner, target)| {
                        let zones = [owner, target].map(|name| zone_of(case.zones, name));
                        zones[1].is_some() && zones[0] != zones[1]
                    })
                })
            })
        },
    },
    Rule {
        name: "NODATA by a wildcard that is an empty non-terminal",
        allowed_by: "RFC 4592, section 2.2.2, and RFC 4035, section 3.1.3.4: such a wildcard exists, which takes an NSEC to show",
        peers: &["BIND", "Knot"],
        about: |part| part == Part::Authority,
        holds: |case| {
            let (Some(ours), Some(theirs)) = (case.ours, case.theirs) else { return false };
            let (ours, theirs) = (&ours.reply.authority, &theirs.reply.authority);
            let shows = |line: &&String| {
                !theirs.contains(line) && line.contains(" NSEC ") && line.contains(".*.")
            };
            theirs.iter().all(|line| ours.contains(line)) && ours.iter().any(|line| shows(&line))
        },
    },
    Rule {
        name: "NSEC3 asked for",
        allowed_by: "RFC 5155, section 7.2.8: NSEC3 stands at no name that can be asked for; aliases are followed all the same",
        peers: &["NSD"],
        about: any,
        holds: |case| case.is_of_type(&[50]),
    },
    Rule {
        name: "names that are an NSEC3 record's owner, and those below",
        allowed_by: "RFC 5155, section 7.2.8: they do not exist for that; to NSD they do",
        peers: &["NSD"],
        about: any,
        holds: |case| {
            let name = case.query.question.as_ref().and_then(|it| it.name.as_deref());
            name.is_some_and(|name| labels(name).any(is_hash))
        },
    },
    Rule {
        name: "proofs about wildcards, for names that have an asterisk themselves and for NSEC",
        allowed_by: "RFC 4592, section 2.2.1: an asterisk in a question is a label like others; what must be proven \
                     is the same (RFC 4035, section 3.1.3; RFC 5155, section 7.2). Knot leaves some out, NSD adds some",
        peers: &["Knot", "NSD"],
        about: |part| part == Part::Authority,
        holds: |case| {
            let name = case.query.question.as_ref().and_then(|it| it.name.as_deref());
            let has_asterisk = name.is_some_and(|name| labels(name).any(|label| label == b"*"));
            (has_asterisk || case.is_of_type(&[47]))
                && (case.lacks_proof() || case.has_further_proof())
        },
    },
    Rule {
        name: "names beside and below delegations that opt-out leaves out",
        allowed_by: "RFC 5155, section 7.2: the closest encloser that can be proven is shown; NSD leaves it out, or shows another",
        peers: &["NSD"],
        about: |part| part == Part::Authority,
        holds: |case| case.ours.is_some_and(|ours| has(&ours.reply.authority, " NSEC3 1 1 ")),
    },
    Rule {
        name: "NSEC at a delegation",
        allowed_by: "RFC 4035, section 3.1.4.1: only DS is asked at the parent's side; BIND answers NSEC as well",
        peers: &["BIND"],
        about: records,
        holds: |case| {
            case.is_of_type(&[47, 46]) && case.ours.is_some_and(|ours| ours.reply.is_referral())
        },
    },
];

fn has(lines: &[String], words: &str) -> bool {
    lines.iter().any(|line| line.contains(words))
}

fn is_bad_subnet(data: &[u8]) -> bool {
    let Some((head, address)) = data.split_at_checked(4) else { return true };
    let bits = match head[..2] {
        [0, 0] => 0,
        [0, 1] => 32,
        [0, 2] => 128,
        _ => return true,
    };
    let source = usize::from(head[2]);
    let beyond = |bit: usize| address[bit / 8] & (0x80 >> (bit % 8)) != 0;
    head[3] != 0
        || source > bits
        || address.len() != source.div_ceil(8)
        || (source..address.len() * 8).any(beyond)
}

fn labels(mut name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = name.split_first()?;
        let (label, next) = rest.split_at_checked(usize::from(*len))?;
        name = next;
        Some(label)
    })
}

/// Base 32 of twenty bytes.
fn is_hash(label: &[u8]) -> bool {
    label.len() == 32 && label.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'v'))
}

/// The longest of these that a name is in.
fn zone_of<'a>(zones: &'a [String], name: &str) -> Option<&'a String> {
    let is_in = |zone: &str| {
        zone.is_empty()
            || name == zone
            || name.strip_suffix(zone).is_some_and(|it| it.ends_with('.'))
    };
    zones.iter().filter(|zone| is_in(zone)).max_by_key(|zone| zone.len())
}

/// Owner and target, if a record is an alias of a name or of all names below one. Names may have blanks in them.
fn alias(line: &str) -> Option<(&str, &str)> {
    let (head, target) = line.split_once(" CNAME ").or_else(|| line.split_once(" DNAME "))?;
    let (owner, _ttl) = head.rsplit_once(' ')?;
    Some((owner, target.trim_end_matches('.')))
}

/// Whether the last alias leads to one before it.
fn leads_round(answer: &[String]) -> bool {
    let aliases: Vec<(&str, &str)> = answer.iter().filter_map(|line| alias(line)).collect();
    // From whichever it begins, whoever never comes out of them goes round.
    aliases.iter().any(|(_, target)| {
        let mut at = *target;
        for _ in 0..=aliases.len() {
            match aliases.iter().find(|(owner, _)| *owner == at) {
                Some((_, next)) => at = next,
                None => return false,
            }
        }
        true
    })
}
