//! What the site's pages look like.

use super::site::{Site, Status};

/// A page that names the server.
pub(super) fn front(site: &Site, status: &Status) -> String {
    let (name, cluster) = (escape(&site.name), escape(&site.cluster));
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title>\n\
         <h1>Hello from {name}</h1>\n\
         <p>You were sent to the server <b>{name}</b> of the cluster <b>{cluster}</b>.</p>\n\
         <p>It has served {} pages; {} of {} workers are busy; its fault switch says \
         <b>{}</b>.</p>\n\
         <p>POST to /fault/down, /fault/busy, /fault/slow ({} s) or /fault/ok.</p>\n</html>\n",
        status.hits,
        status.busy,
        status.busy_max,
        status.fault.word(),
        site.slow.as_secs(),
    )
}

/// The status as JSON.
pub(super) fn status_json(site: &Site, status: &Status) -> String {
    let object = serde_json::json!({
        "name": site.name,
        "cluster": site.cluster,
        "hits": status.hits,
        "busy": status.busy,
        "busy_max": status.busy_max,
        "fault": status.fault.word(),
    });
    format!("{object}\n")
}

/// The status as `mod_status?auto` writes it. Like Apache it counts the request for this page
/// among the busy workers, and earlier ones among the accesses.
pub(super) fn status_apache(status: &Status, status_hits_before: u64) -> String {
    let busy = status.busy.saturating_add(1).min(status.busy_max.saturating_add(1));
    let idle = status.busy_max.saturating_sub(status.busy);
    let scoreboard = "W".repeat(status.busy as usize) + &"_".repeat(idle as usize);
    format!(
        "ServerVersion: walrus origin\nTotal Accesses: {}\nBusyWorkers: {busy}\n\
         IdleWorkers: {idle}\nScoreboard: {scoreboard}\n",
        status.hits.saturating_add(status_hits_before),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
