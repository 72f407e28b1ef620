//! References by name: what they mean, or what was probably meant.

use super::findings::{Findings, Place};
use super::suggest::did_you_mean;
use crate::world::{Area, AreaId, Cluster, ClusterId, Name, Server, ServerId};

pub(super) fn cluster_named(
    name: &str,
    place: Place,
    clusters: &[Cluster],
    findings: &Findings<'_>,
) -> Option<ClusterId> {
    let known = |cluster: &Cluster| cluster.name.clone();
    find("cluster", name, place, clusters, known, findings).map(ClusterId)
}

pub(super) fn server_named(
    name: &Name,
    place: Place,
    servers: &[Server],
    findings: &Findings<'_>,
) -> Option<ServerId> {
    let known = |server: &Server| server.name.clone();
    find("server", name.as_str(), place, servers, known, findings).map(ServerId)
}

pub(super) fn area_named(
    name: &str,
    place: Place,
    areas: &[Area],
    findings: &Findings<'_>,
) -> Option<AreaId> {
    find("area", name, place, areas, |area: &Area| area.name.clone(), findings).map(AreaId)
}

/// Looks a name up in a list sorted by name.
fn find<T>(
    kind: &str,
    name: &str,
    place: Place,
    list: &[T],
    name_of: impl Fn(&T) -> Name,
    findings: &Findings<'_>,
) -> Option<u32> {
    if let Ok(index) = list.binary_search_by(|item| name_of(item).as_str().cmp(name)) {
        return u32::try_from(index).ok();
    }
    if findings.is_full() {
        findings.problem(place, "");
        return None;
    }
    let names: Vec<Name> = list.iter().map(name_of).collect();
    let hint = match did_you_mean(name, names.iter().map(Name::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add a [[{kind}]] of this name, or name one that is there"),
    };
    findings.problem(place, format!("there is no {kind} `{}`; {hint}", name.escape_debug()));
    None
}
