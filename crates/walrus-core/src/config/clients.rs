//! Areas' `clients`: prefixes, countries, continents, and files of prefixes.
//!
//! A file may have half a million rows and be named by many areas, so each is read and parsed
//! once, its rows kept in 24 bytes each, and "the same prefix in two areas" is found by sorting.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::findings::{Findings, Place};
use super::scalar::shortened;
use super::suggest::did_you_mean;
use super::{Context, countries, prefix};
use crate::world::ClientSpec;

/// The most problems that are told of one client file.
const FILE_PROBLEMS_MAX: usize = 20;

/// Reads entries of `clients` and remembers all of them, to find those that two areas name.
pub(super) struct Clients<'a> {
    context: &'a Context<'a>,
    files: BTreeMap<String, Option<ClientFile>>,
    /// Each area's label and each entry of `clients` that brought prefixes.
    origins: Vec<Origin>,
    prefixes: Vec<Seen>,
    codes: BTreeMap<String, u32>,
    first_code: Option<Place>,
}

/// An entry of an area's `clients`.
struct Origin {
    area: String,
    place: Place,
    /// The file that it names, if it names one.
    file: Option<String>,
}

/// One prefix with where it came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    address: IpAddr,
    length: u8,
    origin: u32,
    line: u32,
}

/// A client file: its rows sorted by region (and in a plain list all of one region).
struct ClientFile {
    rows: Vec<Row>,
    regions: BTreeMap<String, u32>,
}

struct Row {
    address: IpAddr,
    length: u8,
    region: u32,
    line: u32,
}

impl<'a> Clients<'a> {
    pub(super) const fn new(context: &'a Context<'a>) -> Self {
        Self {
            context,
            files: BTreeMap::new(),
            origins: Vec::new(),
            prefixes: Vec::new(),
            codes: BTreeMap::new(),
            first_code: None,
        }
    }

    /// The first country or continent named: it needs a database.
    pub(super) const fn first_code(&self) -> Option<Place> {
        self.first_code
    }

    /// Reads one entry of an area's `clients`.
    pub(super) fn read(
        &mut self,
        text: &str,
        place: Place,
        area: &str,
        specs: &mut Vec<ClientSpec>,
        findings: &Findings<'_>,
    ) {
        let origin = u32::try_from(self.origins.len()).unwrap_or(u32::MAX);
        let (kind, rest) = text.split_once(':').unwrap_or(("", text));
        let file = (kind == "file")
            .then(|| rest.split_once('#').map_or(rest, |(file, _)| file).to_owned());
        self.origins.push(Origin { area: area.to_owned(), place, file });
        match kind {
            "file" => self.read_file(rest, origin, place, specs, findings),
            "country" | "continent" => self.read_code(kind, rest, origin, specs, findings),
            _ => match prefix::parse(text) {
                Ok((address, length)) => {
                    specs.push(ClientSpec::Prefix(address, length));
                    self.prefixes.push(Seen { address, length, origin, line: 0 });
                }
                Err(why) => findings.problem(place, entry_problem(text, kind, &why)),
            },
        }
    }

    fn read_code(
        &mut self,
        kind: &str,
        code: &str,
        origin: u32,
        specs: &mut Vec<ClientSpec>,
        findings: &Findings<'_>,
    ) {
        let place = self.origins[origin as usize].place;
        self.first_code.get_or_insert(place);
        let upper = code.to_ascii_uppercase();
        let (known, which) = if kind == "country" {
            (&countries::COUNTRIES[..], "ISO 3166 country code such as country:DE")
        } else {
            (&countries::CONTINENTS[..], "continent: write one of AF, AN, AS, EU, NA, OC and SA")
        };
        if !known.contains(&upper.as_str()) {
            let hint = if kind == "country" && upper == "UK" { " (write country:GB)" } else { "" };
            findings.problem(place, format!("`{}` is no {which}{hint}", shortened(code)));
            return;
        }
        let key = format!("{kind}:{upper}");
        if let Some(first) = self.codes.get(&key) {
            let (first, own) = (&self.origins[*first as usize], &self.origins[origin as usize]);
            if first.area != own.area {
                let at = findings.point(first.place);
                findings.problem(
                    place,
                    format!(
                        "{key} belongs already to the area `{}` ({at}): leave it in one of them",
                        first.area
                    ),
                );
            }
            return;
        }
        self.codes.insert(key, origin);
        specs.push(if kind == "country" {
            ClientSpec::Country(upper)
        } else {
            ClientSpec::Continent(upper)
        });
    }

    fn read_file(
        &mut self,
        reference: &str,
        origin: u32,
        place: Place,
        specs: &mut Vec<ClientSpec>,
        findings: &Findings<'_>,
    ) {
        let (name, region) = match reference.split_once('#') {
            Some((name, region)) => (name, Some(region)),
            None => (reference, None),
        };
        if name.is_empty() {
            findings.problem(place, "`file:` needs a path: write for example \"file:nets.txt\"");
            return;
        }
        // The two forms of one file are parsed apart: their rows are not the same.
        let key = format!("{}{name}", if region.is_some() { "#" } else { "" });
        if !self.files.contains_key(&key) {
            let file = match (self.context.read)(name) {
                Ok(text) => Some(ClientFile::parse(name, &text, region.is_some(), findings)),
                Err(why) => {
                    findings.problem(place, format!("cannot read the client file {name}: {why}"));
                    None
                }
            };
            self.files.insert(key.clone(), file);
        }
        let Some(Some(file)) = self.files.get(&key) else { return };
        let Some(wanted) = file.regions.get(region.unwrap_or_default()) else {
            match region {
                None => findings.warn(place, format!("the client file {name} holds no prefix")),
                Some(region) => findings.problem(place, file.no_such_region(name, region)),
            }
            return;
        };
        let first = file.rows.partition_point(|row| row.region < *wanted);
        let rows = file.rows[first..].iter().take_while(|row| row.region == *wanted);
        let before = specs.len();
        specs.extend(rows.clone().map(|row| ClientSpec::Prefix(row.address, row.length)));
        self.prefixes.reserve(specs.len() - before);
        self.prefixes.extend(rows.map(|row| {
            let Row { address, length, line, .. } = *row;
            Seen { address, length, origin, line }
        }));
    }

    /// The same prefix in two areas: nobody could say which holds.
    pub(super) fn check_unique(&mut self, findings: &Findings<'_>) {
        self.prefixes.sort_unstable();
        let mut told = 0;
        for pair in self.prefixes.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            if (first.address, first.length) != (second.address, second.length) {
                continue;
            }
            let (a, b) =
                (&self.origins[first.origin as usize], &self.origins[second.origin as usize]);
            if a.area == b.area {
                continue;
            }
            told += 1;
            if told > FILE_PROBLEMS_MAX {
                findings
                    .problem(b.place, "and more prefixes that two areas hold: mend these first");
                return;
            }
            findings.problem(
                b.place,
                format!(
                    "{}/{} {}belongs already to the area `{}` ({}): leave it in one of them",
                    first.address,
                    first.length,
                    b.file
                        .as_ref()
                        .map_or(String::new(), |file| format!("({file}:{}) ", second.line)),
                    a.area,
                    match &a.file {
                        Some(file) => format!("{file}:{}", first.line),
                        None => findings.point(a.place),
                    },
                ),
            );
        }
        // Not needed any more; half a million of them take memory.
        self.prefixes = Vec::new();
        self.files.clear();
    }
}

/// What to write instead of an entry that is none.
fn entry_problem(text: &str, kind: &str, why: &str) -> String {
    let shown = shortened(text);
    if let Some(near) =
        did_you_mean(kind, ["file", "country", "continent"]).filter(|_| !kind.is_empty())
        && !kind.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return format!("`{shown}` is no entry of `clients`; did you mean `{near}:`?");
    }
    if countries::CONTINENTS.contains(&text) {
        return format!("`{shown}` {why}, or \"continent:{text}\"");
    }
    if countries::COUNTRIES.contains(&text) {
        return format!("`{shown}` {why}, or \"country:{text}\"");
    }
    format!("`{shown}` {why}")
}

impl ClientFile {
    /// `prefix,region` rows, or one prefix a line; `#` begins a comment; empty lines are skipped.
    fn parse(name: &str, text: &str, with_regions: bool, findings: &Findings<'_>) -> Self {
        let mut file = Self { rows: Vec::new(), regions: BTreeMap::new() };
        file.rows.reserve(text.len() / 20);
        let mut problems = 0;
        for (number, line) in text.lines().enumerate() {
            let content = line.split_once('#').map_or(line, |(content, _)| content).trim();
            // Exported tables begin with a row of headings ("prefix,region").
            let heading = number == 0 && content.split(',').next().is_some_and(is_heading);
            if content.is_empty() || heading {
                continue;
            }
            let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
            if let Err((column, message)) = file.row(content, number, with_regions) {
                problems += 1;
                if problems > FILE_PROBLEMS_MAX {
                    findings.problem_in(
                        name,
                        number,
                        1,
                        "and more such lines: mend these first".into(),
                    );
                    break;
                }
                findings.problem_in(name, number, column, message);
            }
        }
        // Stable: rows of a region stay in the order of lines.
        file.rows.sort_by_key(|row| row.region);
        file.rows.shrink_to_fit();
        file
    }

    fn no_such_region(&self, name: &str, region: &str) -> String {
        let hint = match did_you_mean(region, self.regions.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `#{near}`?"),
            None => "write one of those in its second column".to_owned(),
        };
        format!("no row of {name} has the region `{}`; {hint}", shortened(region))
    }

    fn row(&mut self, content: &str, line: u32, with_regions: bool) -> Result<(), (u32, String)> {
        let unquoted = |text: &str| text.trim().trim_matches('"').to_owned();
        let (first, region) = if with_regions {
            let mut fields = content.split(',');
            let first = fields.next().unwrap_or_default();
            let region = fields.next().map(unquoted).filter(|region| !region.is_empty());
            let region = region.ok_or_else(|| {
                (1, format!("`{}` has no second column: write prefix,region", shortened(content)))
            })?;
            (first, region)
        } else {
            (content, String::new())
        };
        let first = first.trim().trim_matches('"');
        let (address, length) = prefix::parse(first).map_err(|why| {
            let hint = if !with_regions && content.contains(',') {
                " (a file with regions is named with one: \"file:nets.csv#3\")"
            } else {
                ""
            };
            (1, format!("`{}` {why}{hint}", shortened(first)))
        })?;
        let next = u32::try_from(self.regions.len()).unwrap_or(u32::MAX);
        let region = *self.regions.entry(region).or_insert(next);
        self.rows.push(Row { address, length, region, line });
        Ok(())
    }
}

fn is_heading(field: &str) -> bool {
    let field = field.trim().trim_matches('"');
    !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}
