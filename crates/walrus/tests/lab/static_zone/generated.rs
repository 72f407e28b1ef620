//! Small zones at random over two labels and the asterisk, so that wildcards, aliases, cuts and
//! empty non-terminals come to stand above, below and beside each other as nobody would think of.

use std::collections::{BTreeMap, BTreeSet};

use walrus_core::world::Generator;

/// How many; a zone's number is its seed.
pub(crate) const ZONES: u64 = 24;
const RECORDS: usize = 14;

/// The zone's name and file.
pub(crate) fn zone(seed: u64) -> (String, String) {
    let zone = format!("z{seed}.example");
    let mut generator = Generator::new(seed);
    let mut text = format!(
        "$ORIGIN {zone}.\n$TTL 300\n@ SOA ns.other.example. host.other.example. 1 2 3 4 60\n\
         @ NS ns.other.example.\n"
    );
    // An alias stands alone (RFC 1034, section 3.6.2).
    let mut types = BTreeMap::<String, &str>::new();
    let mut lines = BTreeSet::new();
    for number in 0..RECORDS {
        let owner = owner(&mut generator);
        let before = types.get(&owner).copied();
        let (record_type, data) = match generator.index(5).0 {
            0 | 1 => ("A", format!("192.0.2.{number}")),
            2 | 3 => ("CNAME", target(&mut generator)),
            _ => ("NS", target(&mut generator)),
        };
        let alone = record_type == "CNAME" || before == Some("CNAME");
        // A wildcard that delegates means nothing (RFC 4592, section 4.2).
        if (alone && before.is_some()) || (record_type == "NS" && owner.starts_with('*')) {
            continue;
        }
        lines.insert((owner.clone(), record_type, data));
        types.insert(owner, record_type);
    }
    // Below a cut a zone may hold glue and nothing else; Walrus refuses such a file. Nor a wildcard:
    // it is not this zone's to synthesise from (RFC 4592, section 4.2), which Knot does for glue.
    let is_below_cut = |owner: &str| {
        lines.iter().any(|(cut, of, _)| *of == "NS" && owner.ends_with(&format!(".{cut}")))
    };
    for (owner, record_type, data) in &lines {
        if (*record_type == "A" && !owner.contains('*')) || !is_below_cut(owner) {
            text.push_str(&format!("{owner} {record_type} {data}\n"));
        }
    }
    (zone, text)
}

/// The apex and every name over the labels and one more, three labels deep.
pub(crate) fn names(zone: &str) -> Vec<String> {
    let mut names = vec![format!("{zone}.")];
    let mut begin = 0;
    for _ in 0..3 {
        let end = names.len();
        for index in begin..end {
            for label in ["a", "b", "c", "*"] {
                names.push(format!("{label}.{}", names[index]));
            }
        }
        begin = end;
    }
    names
}

fn owner(generator: &mut Generator) -> String {
    let depth = 1 + generator.index(3).0;
    let label = |_| ["a", "b", "*"][generator.index(3).0 as usize];
    (0..depth).map(label).collect::<Vec<_>>().join(".")
}

fn target(generator: &mut Generator) -> String {
    match generator.index(6).0 {
        0 => "www.other.example.".to_owned(),
        1 => format!("c.{}", owner(generator)),
        _ => owner(generator),
    }
}
