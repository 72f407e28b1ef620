//! Files to what a node runs on: configuration, zones and map, with all their problems.
//!
//! The core reads no files, so whoever needs one is served here: client files and zone files are
//! relative to the configuration's folder.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walrus_core::answer::{AnswerTable, ZoneTable};
use walrus_core::config::{
    Configuration, Context, Problem, ReporterSettings, SourceFile, ZoneSettings, parse,
};
use walrus_core::map::{GeoDatabase, Map};
use walrus_core::plan::{Digests, Plan, with_found};
use walrus_core::world::{Digest, Topology};
use walrus_core::zone::{
    HostConflict, HostedZones, Zone, add_hosts_that_fit, addresses_beside_services,
};
use walrus_director::tsig::TsigKeys;
use walrus_director::{KeptZones, MovingZone, UpdateSettings};
use walrus_dns::DomainName;
use walrus_host::state::StateDirectory;

use crate::api::plan::{ProposedConfiguration, ProposedFile};
use crate::cli::Failure;
use crate::expiry::{self, Expiring};
use crate::paths;
use crate::zone_files::{self, FoundZones};
use crate::zone_updates;

/// What a node runs on.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// Without problems.
    pub(crate) configuration: Arc<Configuration>,
    /// In the order of the configuration.
    pub(crate) zones: Vec<Arc<Zone>>,
    /// Those of them whose content moves by itself: of those that come from other primaries stands in
    /// `zones` what was kept of them, or an empty zone.
    pub(crate) moving: Vec<MovingZone>,
    /// Hosts that were added to the zones, for services' records name them.
    pub(crate) hosts: Vec<DomainName>,
    /// Of the files of zones that take updates, what they were loaded from.
    files: BTreeMap<DomainName, Digest>,
    /// Keys of TSIG with their secrets, as the files hold them now.
    pub(crate) keys: TsigKeys,
    /// Everything that stands somewhere, as the roles share it.
    pub(crate) topology: Arc<Topology>,
    /// Client prefix to area.
    pub(crate) map: Arc<Map>,
    /// Names all of it.
    pub(crate) digests: Digests,
    /// What is accepted but hardly meant.
    pub(crate) warnings: Vec<String>,
    /// Certificates and lists of revocations that it names.
    pub(crate) expiring: Arc<Vec<Expiring>>,
}

/// Why nothing was loaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// Everything that is wrong, one a line.
    Problems(Vec<String>),
    /// The configuration itself could not be read.
    Unreadable(String),
}

impl LoadError {
    /// As a command's failure.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Unreadable(text) => Failure::CouldNot(text),
            Self::Problems(problems) => Failure::Problems(problems),
        }
    }
}

/// A checked configuration whose zones and map are still files.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Without problems.
    pub(crate) configuration: Configuration,
    /// Files of client prefixes that were read for it.
    pub(crate) client_files: Vec<PathBuf>,
    warnings: Vec<String>,
}

/// Checks a TOML file, or a directory of them.
pub(crate) fn check(path: &Path) -> Result<Checked, LoadError> {
    check_sources(&sources(path)?, &folder_of(path))
}

/// Checks one text; files that it names are relative to the current folder.
pub(crate) fn check_text(name: &str, text: &str) -> Result<Checked, LoadError> {
    let files = [SourceFile { name: name.to_owned(), text: text.to_owned() }];
    check_sources(&files, Path::new("."))
}

fn check_sources(files: &[SourceFile], folder: &Path) -> Result<Checked, LoadError> {
    let client_files = RefCell::new(Vec::new());
    let read = |name: &str| {
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        client_files.borrow_mut().push(path);
        text
    };
    let parsed = parse(files, &Context { hostname: &hostname(), read: &read }).map_err(said)?;
    let warnings = parsed.warnings.iter().map(ToString::to_string).collect();
    let mut configuration = parsed.configuration;
    paths::anchor(&mut configuration, folder);
    Ok(Checked { configuration, client_files: client_files.into_inner(), warnings })
}

impl Checked {
    /// Reads zones and map; the compiled map comes from the state directory if it is there.
    pub(crate) fn load(self, state: Option<&StateDirectory>) -> Result<Loaded, LoadError> {
        let kept = state.map(|state| KeptZones::in_state(state.path()));
        self.load_with(state, kept.as_ref())
    }

    /// The same, and what was kept of zones from other primaries is looked at too, if there is any: the state
    /// directory may be in use.
    pub(crate) fn load_beside_kept(self) -> Result<Loaded, LoadError> {
        let kept = KeptZones::in_state(&self.configuration.node.state);
        self.load_with(None, Some(&kept))
    }

    fn load_with(
        self,
        state: Option<&StateDirectory>,
        kept: Option<&KeptZones>,
    ) -> Result<Loaded, LoadError> {
        let Self { configuration, mut warnings, .. } = self;
        let FoundZones { zones, moving, digest: zones_digest, files } =
            zone_files::load(&configuration, (kept, state.is_some()), &mut warnings)?;
        warnings.extend(addresses_beside_services(&zones, &configuration.topology));
        let HostedZones { zones, added: hosts, warnings: of_hosts, conflicts } =
            add_hosts_that_fit(&zones, &configuration.topology);
        refuse(&conflicts, &configuration)?;
        warnings.extend(of_hosts);
        let keys = TsigKeys::read(&configuration.keys)
            .map_err(|error| LoadError::Problems(vec![walrus_host::log::chain(&error)]))?;
        let map = load_map(&configuration, state)?;
        let expiring = Arc::new(expiry::look(&configuration));
        warnings.extend(expiry::warnings(&expiring));
        let digests = Digests {
            configuration: configuration.digest.clone(),
            map: map.digest().clone(),
            zones: zones_digest,
            keys: Digest::default(),
        };
        let mut loaded = Loaded {
            topology: Arc::new(configuration.topology.clone()),
            configuration: Arc::new(configuration),
            zones,
            moving,
            hosts,
            files,
            keys,
            map: Arc::new(map),
            digests,
            warnings,
            expiring,
        };
        let of_signing = crate::check_dnssec::warnings(&loaded);
        loaded.warnings.extend(of_signing);
        Ok(loaded)
    }
}

/// What a zone file says otherwise about hosts is mended there; what primaries send only costs services.
fn refuse(conflicts: &[HostConflict], configuration: &Configuration) -> Result<(), LoadError> {
    let is_ours = |conflict: &&HostConflict| {
        let of_primaries = |zone: &&ZoneSettings| !zone.primaries.is_empty();
        let mut theirs = configuration.zones.iter().filter(of_primaries);
        !theirs.any(|zone| zone.apex == conflict.zone)
    };
    let ours: Vec<String> = conflicts.iter().filter(is_ours).map(ToString::to_string).collect();
    if ours.is_empty() { Ok(()) } else { Err(LoadError::Problems(ours)) }
}

impl Loaded {
    /// What its name server takes updates by.
    pub(crate) fn updates(&self) -> UpdateSettings {
        zone_updates::settings(&self.configuration, &self.files)
    }
}

/// Checks a configuration that came over the API; zone files are this node's own.
pub(crate) fn load_proposed(
    proposed: &ProposedConfiguration,
) -> Result<(Configuration, Vec<String>), Vec<String>> {
    let file =
        |file: &ProposedFile| SourceFile { name: file.name.clone(), text: file.text.clone() };
    let files: Vec<SourceFile> = proposed.files.iter().map(file).collect();
    let read = |name: &str| {
        let sent = proposed.client_files.iter().find(|file| file.name == name);
        sent.map(|file| file.text.clone()).ok_or_else(|| "it was not sent along".to_owned())
    };
    let context = Context { hostname: &hostname(), read: &read };
    let text = |problems: Vec<Problem>| -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    };
    let parsed = parse(&files, &context).map_err(text)?;
    let warnings = parsed.warnings.iter().map(ToString::to_string).collect();
    Ok((parsed.configuration, warnings))
}

/// A configuration with its client files, to be sent over the API. Problems are left for the
/// receiver to tell.
pub(crate) fn proposed(path: &Path) -> Result<ProposedConfiguration, Failure> {
    let files = sources(path).map_err(LoadError::into_failure)?;
    let folder = folder_of(path);
    let client_files = RefCell::new(Vec::new());
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string())?;
        let file = ProposedFile { name: name.to_owned(), text: text.clone() };
        client_files.borrow_mut().push(file);
        Ok(text)
    };
    parse(&files, &Context { hostname: &hostname(), read: &read })
        .map_err(|problems| said(problems).into_failure())?;
    let file = |file: SourceFile| ProposedFile { name: file.name, text: file.text };
    Ok(ProposedConfiguration {
        files: files.into_iter().map(file).collect(),
        client_files: client_files.into_inner(),
    })
}

/// The Reporter's section and how to log.
pub(crate) fn reporter(path: &Path) -> Result<(Configuration, ReporterSettings), LoadError> {
    let Checked { configuration, .. } = check(path)?;
    let Some(settings) = configuration.reporter.clone() else {
        let text = format!(
            "{}: there is no [reporter] section: write one with `server` and `controllers`",
            path.display()
        );
        return Err(LoadError::Problems(vec![text]));
    };
    Ok((configuration, settings))
}

/// The TOML files of a path: itself, or a directory's `*.toml` in the order of their names.
fn sources(path: &Path) -> Result<Vec<SourceFile>, LoadError> {
    let unreadable = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| LoadError::Unreadable(format!("cannot read {path}: {error}"))
    };
    let mut paths = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(unreadable(path))? {
            paths.push(entry.map_err(unreadable(path))?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        if paths.is_empty() {
            let text = format!("there is no .toml file in the folder {}", path.display());
            return Err(LoadError::Unreadable(text));
        }
    } else {
        paths.push(path.to_owned());
    }
    let file = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(unreadable(path))?;
        Ok(SourceFile { name: path.display().to_string(), text })
    };
    paths.iter().map(file).collect()
}

pub(crate) fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).into()
}

/// Builds the map, or takes the compiled one from the state directory.
fn load_map(
    configuration: &Configuration,
    state: Option<&StateDirectory>,
) -> Result<Map, LoadError> {
    let problem = |text: String| LoadError::Problems(vec![text]);
    let mut databases = Vec::new();
    for path in &configuration.geo.database {
        let name = path.display().to_string();
        let bytes = std::fs::read(path)
            .map_err(|error| problem(format!("cannot read the database {name}: {error}")))?;
        databases.push(GeoDatabase::new(name, bytes));
    }
    let topology = &configuration.topology;
    let digest = Map::digest_of(topology, &databases);
    let cached = state.and_then(|state| state.load_map(&digest));
    match cached.map(|bytes| Map::from_bytes(&bytes, &digest)) {
        Some(Ok(map)) => return Ok(map),
        Some(Err(error)) => tracing::warn!("the kept map is compiled anew: {error}"),
        None => {}
    }
    let map = Map::build(topology, &databases).map_err(|error| problem(error.to_string()))?;
    if let Some(state) = state
        && !databases.is_empty()
        && let Err(error) = state.store_map(&digest, &map.to_bytes())
    {
        tracing::warn!("the compiled map is not kept: {error}");
    }
    Ok(map)
}

fn said(problems: Vec<Problem>) -> LoadError {
    LoadError::Problems(problems.iter().map(ToString::to_string).collect())
}

/// The host's name, or nothing if it has none.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// The Plan saved in a state directory that may be in use: read only, never locked.
pub(crate) fn saved_plan(state: &Path) -> Result<Option<Arc<Plan>>, Failure> {
    let path = state.join("plan.json");
    match std::fs::read(&path) {
        Ok(bytes) => match walrus_core::plan::from_bytes(&bytes) {
            Ok(plan) => Ok(Some(Arc::new(plan))),
            Err(error) => Err(Failure::CouldNot(format!("{}: {error}", path.display()))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::CouldNot(format!("cannot read {}: {error}", path.display()))),
    }
}

/// The Plan that a Controller would make of this configuration with every server up and idle.
pub(crate) fn first_plan(loaded: &Loaded) -> Arc<Plan> {
    use walrus_core::control::{Controller, Start, Stored};
    use walrus_core::world::Time;
    let start = Start {
        configuration: loaded.configuration.clone(),
        digests: loaded.digests.clone(),
        name: loaded.configuration.node.name.clone(),
        seed: 0,
        stored: Stored::default(),
        group: None,
    };
    let controller = Controller::new(start, Time::ZERO);
    let configuration = loaded.configuration.clone();
    Arc::new(controller.dry_run(Time::ZERO, configuration, loaded.digests.clone()))
}

/// The Plan in force made to fit another configuration where no Controller runs, under the same
/// number: areas go on where they point and who is out stays out, as far as that Plan tells; what is
/// new is as configured.
pub(crate) fn stand_in(
    configuration: &Arc<Configuration>,
    digests: &Digests,
    held: Arc<Plan>,
) -> Arc<Plan> {
    use walrus_core::control::{Controller, Start, Stored};
    use walrus_core::world::{Life, OverrideState, Overrides, Target, Time};
    let name = configuration.node.name.clone();
    let mut overrides = Overrides::default();
    for server in held.servers.iter().filter(|server| server.life == Life::Drained) {
        let target = Target::Server(server.name.clone());
        overrides.set(target, OverrideState::Drained, (name.clone(), None), 0);
    }
    let number = held.number.clone();
    let start = Start {
        configuration: configuration.clone(),
        digests: digests.clone(),
        name,
        seed: 0,
        stored: Stored { epoch: 0, overrides, plan: Some(held) },
        group: None,
    };
    let controller = Controller::new(start, Time::ZERO);
    let plan = controller.plan_ahead(Time::ZERO, configuration.clone(), digests.clone());
    Arc::new(Plan { number, ..plan })
}

/// The table that a name server would answer from.
pub(crate) fn answer_table(loaded: &Loaded, plan: Arc<Plan>) -> Result<AnswerTable, Failure> {
    let services: Vec<_> = loaded.topology.services.iter().map(|it| it.name.clone()).collect();
    let zones = ZoneTable::compile(&loaded.zones, &services).map_err(anyhow::Error::from)?;
    let found = with_found(&loaded.topology, &plan);
    let topology = found.as_ref().unwrap_or(&loaded.topology);
    let table = AnswerTable::new(Arc::new(zones), loaded.map.clone(), topology);
    Ok(table.with_plan(plan).map_err(anyhow::Error::from)?)
}
