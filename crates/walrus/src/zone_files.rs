//! Zone files to zones: read in parts on as many threads as there are cores, none of which answers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walrus_core::config::{Configuration, ZoneDnssec, ZoneSettings};
use walrus_core::world::Digest;
use walrus_core::zone::{
    IncludedFile, ScannedPart, TextPart, Zone, ZoneFile, ZoneReader, ZonesOwnNames, unfit_services,
    zone_of_nameservers,
};

use walrus_director::{KeptZones, MovingZone};
use walrus_dns::DomainName;

use crate::load::{LoadError, folder_of};
use crate::{paths, zone_updates};

/// All files that a zone includes may have so much together.
const INCLUDED_LEN_MAX: u64 = 1 << 29;
/// Files that zones may include for a sandbox to know of them beforehand.
const INCLUDED_FILES_MAX: usize = 1000;
/// Bytes of a zone file that are looked at for what it includes.
const ZONE_LEN_MAX: u64 = 1 << 33;
/// Bytes of a line that are looked at together; a device may never end one.
const LINE_LEN_MAX: u64 = 1 << 16;
/// Below this a thread takes longer to start than to read its part.
const PART_LEN_MIN: usize = 1 << 19;
/// More threads would only wait for memory.
const THREADS_MAX: usize = 8;
/// A text may have so much more bytes than its zone may take: comments, and data in hexadecimal.
const TEXT_FACTOR: usize = 2;

/// The zones of a configuration.
pub(crate) struct FoundZones {
    /// In its order.
    pub(crate) zones: Vec<Arc<Zone>>,
    /// Those whose content moves by itself.
    pub(crate) moving: Vec<MovingZone>,
    /// Of all their texts.
    pub(crate) digest: Digest,
    /// Of the files of zones that take updates.
    pub(crate) files: BTreeMap<DomainName, Digest>,
}

/// The zones of a configuration, in its order, and a digest of all their texts; what was kept of those
/// that come from other primaries is looked for among these. `has_name_server`: one reads journals itself.
pub(crate) fn load(
    configuration: &Configuration,
    (kept_zones, has_name_server): (Option<&KeptZones>, bool),
    warnings: &mut Vec<String>,
) -> Result<FoundZones, LoadError> {
    let (mut zones, mut moving) = (Vec::new(), Vec::new());
    let mut files = BTreeMap::new();
    let mut problems = paths::missing(configuration);
    problems.extend(crate::expiry::problems(configuration));
    problems.extend(crate::dns_files::problems(configuration, warnings));
    let mut texts = Vec::new();
    let apexes = configuration.zones.iter().map(|zone| &zone.apex);
    let own = ZonesOwnNames::new(apexes, &configuration.topology);
    for settings in &configuration.zones {
        texts.push(settings.apex.as_wire().to_vec());
        let before = texts.len();
        if !settings.primaries.is_empty() {
            // Of what moves by itself nothing but the name counts: serials differ between nodes.
            texts.push(MOVES.to_vec());
            let memory_max = configuration.dns.zone_memory_max;
            let content = kept_zones.and_then(|zones| kept(settings, zones, memory_max));
            let content = content.map(Arc::new);
            warnings
                .extend(content.iter().flat_map(|content| unfit(content, (&own, configuration))));
            let empty = || Arc::new(zone_of_nameservers(&settings.apex, &settings.nameservers));
            zones.push(content.clone().unwrap_or_else(empty));
            moving.push(MovingZone { apex: settings.apex.clone(), content });
            continue;
        }
        let updated = zone_updates::look(settings, configuration, &mut files);
        warnings.extend(updated.warnings);
        if updated.counts {
            let content = match has_name_server {
                true => None,
                false => zone_updates::content(settings, (&own, configuration), warnings),
            };
            if has_name_server || content.is_some() {
                texts.push(MOVES.to_vec());
                let empty = || Arc::new(zone_of_nameservers(&settings.apex, &settings.nameservers));
                zones.push(content.unwrap_or_else(empty));
                moving.push(MovingZone { apex: settings.apex.clone(), content: None });
                continue;
            }
        }
        let Some(file) = &settings.file else {
            texts.push(settings.nameservers.iter().flat_map(|it| it.as_wire()).copied().collect());
            let zone = Arc::new(zone_of_nameservers(&settings.apex, &settings.nameservers));
            zones.push(zone);
            note_updated(settings, &zones, &mut moving, (&mut texts, before));
            continue;
        };
        match read(file, settings, configuration.dns.zone_memory_max, &mut texts) {
            Ok(read) => {
                warnings.extend(read.warnings.iter().map(ToString::to_string));
                zones.push(Arc::new(read.zone));
                note_updated(settings, &zones, &mut moving, (&mut texts, before));
            }
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(LoadError::Problems(problems));
    }
    let digest = Digest::of(texts.iter().map(Vec::as_slice));
    Ok(FoundZones { zones, moving, digest, files })
}

/// In the place of the text of a zone that moves by itself, wherever it comes from: one node takes its updates,
/// and is another's primary.
const MOVES: &[u8] = b"moves by itself";

/// A zone that takes updates begins with what was just loaded, and what that was does not count.
fn note_updated(
    settings: &ZoneSettings,
    zones: &[Arc<Zone>],
    moving: &mut Vec<MovingZone>,
    (texts, before): (&mut Vec<Vec<u8>>, usize),
) {
    if !settings.updates.is_empty() {
        texts.truncate(before);
        texts.push(MOVES.to_vec());
        moving.push(MovingZone { apex: settings.apex.clone(), content: zones.last().cloned() });
    }
}

/// What was kept of a zone that comes from other primaries, unless it expired since.
fn kept(settings: &ZoneSettings, zones: &KeptZones, memory_max: usize) -> Option<Zone> {
    let keeps_signatures = settings.dnssec != ZoneDnssec::Sign;
    match zones.load(&settings.apex, keeps_signatures, memory_max) {
        Ok(kept) => kept.filter(|kept| !kept.is_expired(unix_seconds())).map(|kept| kept.zone),
        Err(error) => {
            tracing::warn!("{error}; it is transferred anew");
            None
        }
    }
}

/// Services that what was kept of a zone costs: nothing here could mend it, so that it keeps nobody from starting.
fn unfit(content: &Zone, (own, configuration): (&ZonesOwnNames, &Configuration)) -> Vec<String> {
    let unfit = unfit_services(content, own.of(content.apex()), &configuration.topology);
    let told = |(service, why)| format!("the service {service} is going to be refused: {why}");
    unfit.into_iter().map(told).collect()
}

fn unix_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Reads one zone; digests of its texts go into `texts`.
fn read(
    file: &Path,
    settings: &ZoneSettings,
    memory_max: usize,
    texts: &mut Vec<Vec<u8>>,
) -> Result<ZoneFile, Vec<String>> {
    let name = file.display().to_string();
    let text = read_text(file, memory_max.saturating_mul(TEXT_FACTOR) as u64)
        .map_err(|error| vec![format!("cannot read the zone file {name}: {error}")])?;
    texts.push(Digest::of([text.as_slice()]).to_string().into_bytes());
    let included = RefCell::new(Vec::new());
    let include = |named: &str| {
        let included_file = read_included(&folder_of(file), named)?;
        let digest = Digest::of([included_file.text.as_slice()]);
        included.borrow_mut().push(digest.to_string().into_bytes());
        Ok(included_file)
    };
    let reader = ZoneReader::new(&name, &settings.apex)
        .keeping_signatures(settings.dnssec == ZoneDnssec::Keep)
        .with_memory_max(memory_max);
    let read = if text.len() < 2 * PART_LEN_MIN {
        reader.read(&text, Some(&include))
    } else {
        let parts = scan(&reader, &text);
        reader.read_scanned(text, parts, Some(&include))
    };
    texts.extend(included.into_inner());
    read.map_err(|found| found.iter().map(ToString::to_string).collect())
}

/// The files that zone files include, and those that these do: what has to be readable once they are read for
/// good. It costs a look at each line; what cannot be read now is told of then.
pub(crate) fn included(configuration: &Configuration) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for zone in configuration.zones.iter().filter_map(|zone| zone.file.as_ref()) {
        add_included(zone, &mut found);
    }
    found
}

fn add_included(zone: &Path, found: &mut Vec<PathBuf>) {
    let folder = folder_of(zone);
    let mut left = vec![zone.to_owned()];
    while let Some(file) = left.pop() {
        for name in included_by(&file).unwrap_or_default() {
            let path = folder.join(name);
            if found.len() < INCLUDED_FILES_MAX && !found.contains(&path) {
                found.push(path.clone());
                left.push(path);
            }
        }
    }
}

/// Names the text of a zone file with all that it includes, as it is now. What it includes and is not there takes
/// part, too.
///
/// # Errors
/// If the file itself cannot be read.
pub(crate) fn digest_of(zone: &Path, memory_max: usize) -> Result<Digest, String> {
    let len_max = memory_max.saturating_mul(TEXT_FACTOR) as u64;
    let digest = |text: Vec<u8>| Digest::of([text.as_slice()]).to_string();
    let mut digests = vec![read_text(zone, len_max).map(digest)?];
    let mut included = Vec::new();
    add_included(zone, &mut included);
    let one = |path: &PathBuf| read_text(path, INCLUDED_LEN_MAX).map_or_else(|error| error, digest);
    digests.extend(included.iter().map(one));
    Ok(Digest::of(digests.iter().map(String::as_bytes)))
}

/// What stands behind each `$INCLUDE` (RFC 1035, section 5.1).
fn included_by(file: &Path) -> std::io::Result<Vec<String>> {
    let file = std::fs::File::open(file)?;
    let mut lines = BufReader::with_capacity(1 << 16, file.take(ZONE_LEN_MAX));
    let (mut names, mut line) = (Vec::new(), Vec::new());
    while lines.by_ref().take(LINE_LEN_MAX).read_until(b'\n', &mut line)? > 0 {
        if line.first() == Some(&b'$') && names.len() < INCLUDED_FILES_MAX {
            let text = String::from_utf8_lossy(&line);
            let mut words = text.split_whitespace();
            if words.next().is_some_and(|word| word.eq_ignore_ascii_case("$INCLUDE")) {
                names.extend(words.next().map(|name| name.trim_matches('"').to_owned()));
            }
        }
        line.clear();
    }
    Ok(names)
}

/// Scans a text on several threads.
fn scan(reader: &ZoneReader<'_>, text: &[u8]) -> Vec<ScannedPart> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = reader.split(text, cores.min(THREADS_MAX).min(text.len() / PART_LEN_MIN).max(1));
    let Some((first, others)) = parts.split_first() else { return Vec::new() };
    std::thread::scope(|scope| {
        let start = |part: &'_ TextPart| {
            let part = part.clone();
            let scan = move || reader.scan(text, &part);
            std::thread::Builder::new().name("zone-reader".into()).spawn_scoped(scope, scan)
        };
        let started: Vec<_> = others.iter().map(|part| (part, start(part))).collect();
        let mut scanned = vec![reader.scan(text, first)];
        for (part, thread) in started {
            // Where no thread could be had, this one does its work.
            let joined = thread.ok().and_then(|thread| thread.join().ok());
            scanned.push(joined.unwrap_or_else(|| reader.scan(text, part)));
        }
        scanned
    })
}

fn read_text(path: &Path, len_max: u64) -> Result<Vec<u8>, String> {
    let read = || {
        let file = std::fs::File::open(path)?;
        // In one piece, which goes back to the system as a whole.
        let len = file.metadata()?.len().min(len_max);
        let mut text = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
        // A device may never end.
        file.take(len_max + 1).read_to_end(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = read().map_err(|error| error.to_string())?;
    if text.len() as u64 > len_max {
        return Err(format!(
            "it has more than {len_max} bytes, twice what its zone may take: raise `[dns] \
             zone_memory_max`"
        ));
    }
    Ok(text)
}

/// A file that a zone file includes, relative to the zone file's folder.
fn read_included(folder: &Path, named: &str) -> Result<IncludedFile, String> {
    let path = folder.join(named);
    let read = || {
        let mut text = Vec::new();
        // A device may never end.
        std::fs::File::open(&path)?.take(INCLUDED_LEN_MAX + 1).read_to_end(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = read().map_err(|error| error.to_string())?;
    if text.len() as u64 > INCLUDED_LEN_MAX {
        return Err(format!("it has more than {INCLUDED_LEN_MAX} bytes"));
    }
    Ok(IncludedFile { name: path.display().to_string(), text })
}
