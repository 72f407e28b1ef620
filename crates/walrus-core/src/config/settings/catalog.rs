//! `[[catalog]]`: lists of zones that other name servers have (RFC 9432).

use super::{Default, Group, Kind, Scope, Setting, primary};
use crate::config::findings::Findings;
use crate::config::section::Section;
use crate::config::{CatalogSettings, TsigKey, ZoneSettings};

/// More lists than anybody keeps.
const CATALOGS_MAX: usize = 100;

pub(in crate::config) static CATALOG: Group = Group {
    header: "[[catalog]]",
    meaning: "A catalog zone (RFC 9432): the name server is a secondary of each zone that it lists, as they come \
              and go, from the catalog's own primaries. The catalog itself is not answered.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Domain,
            default: Default::Required,
            meaning: "The catalog zone's apex.",
            example: "\"catalog.example\"",
        },
        Setting {
            name: "primaries",
            kind: Kind::Sections(&PRIMARY),
            default: Default::Required,
            meaning: "The name servers that the catalog and all its zones come from, by AXFR and IXFR.",
            example: "[{ address = \"192.0.2.1:53\", key = \"transfer\" }]",
        },
    ],
};

static PRIMARY: Group = Group {
    header: "[[catalog.primaries]]",
    meaning: "A name server that a catalog and its zones are transferred from.",
    scope: Scope::Local,
    settings: primary::SETTINGS,
};

/// All of them in the order of the files.
pub(in crate::config) fn read(
    root: &Section,
    (keys, zones): (&[TsigKey], &[ZoneSettings]),
    findings: &Findings<'_>,
) -> Vec<CatalogSettings> {
    let mut catalogs: Vec<CatalogSettings> = Vec::new();
    for section in root.sections("catalog") {
        let primaries = primary::read(section, keys, findings);
        let Some(apex) = section.domain("name") else { continue };
        let is_zone = zones.iter().any(|zone| zone.apex == apex);
        if is_zone || catalogs.iter().any(|other| other.apex == apex) {
            findings.problem(
                section.place_of("name"),
                format!("{apex} stands twice among zones and catalogs: keep one"),
            );
        }
        if section.is_given("primaries") && primaries.is_empty() {
            findings.problem(
                section.place_of("primaries"),
                format!("the catalog {apex} needs a name server that it comes from"),
            );
        }
        if catalogs.len() == CATALOGS_MAX {
            let text = format!("there may be {CATALOGS_MAX} catalogs at most");
            findings.problem(section.place(), text);
            break;
        }
        catalogs.push(CatalogSettings { apex, primaries });
    }
    catalogs
}

#[cfg(test)]
mod tests {
    use crate::config::{Context, SourceFile, parse};

    #[test]
    fn a_catalog_has_a_name_of_its_own_and_primaries() {
        let read = |text: &str| {
            let zone = "[[zone]]\nname = \"own.example\"\nnameservers = [\"ns.x\"]\n";
            let text = format!("[dns]\nlisten = [\"127.0.0.1:5300\"]\n{zone}{text}");
            let files = [SourceFile { name: "a.toml".into(), text }];
            let context = Context { hostname: "ns1", read: &|_| Ok(String::new()) };
            let parsed = parse(&files, &context);
            parsed
                .map(|parsed| parsed.configuration.catalogs)
                .map_err(|problems| problems.iter().map(|it| format!("{it}\n")).collect::<String>())
        };
        let one = "[[catalog]]\nname = \"c.example\"\nprimaries = [{ address = \"192.0.2.1\" }]\n";
        let good = read(one).unwrap();
        assert_eq!(good[0].apex.to_string(), "c.example");
        assert_eq!(good[0].primaries[0].address.to_string(), "192.0.2.1:53");
        for (bad, word) in [
            (format!("{one}{one}"), "twice"),
            (format!("{one}[[zone]]\nname = \"c.example\"\nnameservers = [\"ns.x\"]\n"), "twice"),
            ("[[catalog]]\nname = \"c.example\"\n".to_owned(), "primaries"),
            (
                "[[catalog]]\nname = \"c.example\"\nprimaries = []\n".to_owned(),
                "needs a name server",
            ),
        ] {
            let problems = read(&bad).unwrap_err();
            assert!(problems.contains(word), "{problems}");
        }
    }
}
