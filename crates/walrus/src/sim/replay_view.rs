//! What `walrus sim replay` tells: as JSON, and as tables for people.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_dns::rcode;
use walrus_sim::replay::ReplayOutcome;

use crate::cli::Failure;
use crate::output::{Table, percent};

/// Rows of a table for people; JSON has all.
const ROWS_MAX: usize = 40;

/// What a replay came to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReplayView {
    /// No limit is passed: the exit code is 0.
    pub(crate) good: bool,
    /// The limits that were set.
    pub(crate) limits: Vec<LimitView>,
    /// A configuration, or what the log says was answered.
    pub(crate) compared_with: String,
    /// What was decided in.
    pub(crate) world: WorldView,
    /// Servers of the proposed configuration that the World does not know: they count as living, of
    /// unknown load.
    pub(crate) unknown_servers: Vec<String>,
    /// Who moves, how many, where the load goes.
    pub(crate) result: ReplayResultView,
}

/// A limit that was set.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LimitView {
    /// The option without its dashes: "max-moved".
    pub(crate) name: String,
    /// The greatest share that is allowed, 0 to 1.
    pub(crate) limit: f64,
    /// The share that is expected.
    pub(crate) found: f64,
    /// Whether that is more.
    pub(crate) exceeded: bool,
}

/// Where the World came from.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct WorldView {
    /// "running", "plan" (a stored one), "journal" or "idle".
    pub(crate) source: String,
    /// The same in words, and what it cannot tell.
    pub(crate) told: String,
    /// Lines of the journal that are none.
    pub(crate) broken: u64,
}

/// The result of a replay. Shares are of the queries that one side or the other answers with a
/// server.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReplayResultView {
    /// What the log held.
    pub(crate) log: LogCountsView,
    /// Queries that are answered with a server, before or after; lines count by their weight.
    pub(crate) queries: f64,
    /// Domains (resolvers, client networks) that asked them.
    pub(crate) domains: DomainCountView,
    /// Queries that go to another cluster.
    pub(crate) moved: ShareIntervalView,
    /// Domains of which some queries do.
    pub(crate) moved_domains: DomainCountView,
    /// Queries that go to another server, of the same cluster or not.
    pub(crate) moved_servers: ShareIntervalView,
    /// Queries that are no longer answered with a server.
    pub(crate) lost: ShareIntervalView,
    /// Queries that come to be.
    pub(crate) gained: ShareIntervalView,
    /// Who moves, most queries first.
    pub(crate) flows: Vec<FlowView>,
    /// Where each area's queries go, by service and area.
    pub(crate) areas: Vec<AreaShiftView>,
    /// What each server comes to bear, by name.
    pub(crate) servers: Vec<ServerShiftView>,
    /// Queries whose reply's code changes.
    pub(crate) codes: Vec<CodeChangeView>,
    /// Services whose choice depends on who asks or on what was answered before: counted, one draw a
    /// line, not expected.
    pub(crate) drawn: Vec<String>,
}

/// What a log held.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LogCountsView {
    /// Lines or frames that are queries.
    pub(crate) read: u64,
    /// ... that are none.
    pub(crate) broken: u64,
    /// The first of these: pairs of their number, from 1, and why.
    pub(crate) first_broken: Vec<(u64, String)>,
    /// dnstap frames of other types, or the other half of an exchange.
    pub(crate) passed_over: u64,
    /// Queries that the log stands for: the sum of the lines' weights.
    pub(crate) queries: f64,
    /// Of these, queries for names that are no service.
    pub(crate) others: f64,
    /// Of these, queries of more services and areas than are told apart: they count in all sums, and
    /// are told together as "(other)".
    pub(crate) beyond: f64,
    /// Rounds of the journal under other configurations than the two: nothing was decided in them.
    pub(crate) other_rounds: u64,
    /// Lines answered from a Plan that the journal lacks: the World before it stood in.
    pub(crate) without_world: u64,
    /// Lines that came after others of a later Plan, or are older than the journal: the later World
    /// stood in.
    pub(crate) late: u64,
}

/// A share with the interval in which it lies with a probability of 95 %.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ShareIntervalView {
    /// What is expected, 0 to 1.
    pub(crate) share: f64,
    /// At least.
    pub(crate) low: f64,
    /// At most.
    pub(crate) high: f64,
}

/// A number of different things; all three are the same if they were counted, not estimated.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DomainCountView {
    /// How many, or about.
    pub(crate) count: u64,
    /// With a probability of 95 % at least.
    pub(crate) low: u64,
    /// ... and at most.
    pub(crate) high: u64,
}

/// Queries of one area that go elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FlowView {
    /// The service.
    pub(crate) service: String,
    /// The clients' area before; null where the name was no service.
    pub(crate) area_before: Option<String>,
    /// ... and after.
    pub(crate) area_after: Option<String>,
    /// The cluster before; null if no server was given.
    pub(crate) from: Option<String>,
    /// ... and after.
    pub(crate) to: Option<String>,
    /// How many.
    pub(crate) queries: f64,
    /// Of all queries.
    pub(crate) share: ShareIntervalView,
    /// Domains of which some queries go this way.
    pub(crate) domains: DomainCountView,
}

/// Where the queries of one service and area go.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AreaShiftView {
    /// The service.
    pub(crate) service: String,
    /// The area.
    pub(crate) area: String,
    /// Queries from it before.
    pub(crate) queries_before: f64,
    /// ... and after; another number if areas are drawn otherwise.
    pub(crate) queries_after: f64,
    /// Clusters and their shares before, the greatest first.
    pub(crate) before: Vec<ClusterShareView>,
    /// ... and after.
    pub(crate) after: Vec<ClusterShareView>,
}

/// What a cluster gets of an area's queries.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ClusterShareView {
    /// The cluster.
    pub(crate) cluster: String,
    /// Its share.
    pub(crate) share: ShareIntervalView,
}

/// What one server comes to bear.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServerShiftView {
    /// The server.
    pub(crate) server: String,
    /// Its cluster.
    pub(crate) cluster: String,
    /// Queries in which it came first, or is expected to.
    pub(crate) queries_before: f64,
    /// ... and after.
    pub(crate) queries_after: f64,
    /// The same as shares.
    pub(crate) before: ShareIntervalView,
    /// ... and after.
    pub(crate) after: ShareIntervalView,
    /// Its load in the World, 0 to 1; null if unknown.
    pub(crate) load: Option<f64>,
    /// That load if it followed the queries; null if unknown.
    pub(crate) load_after: Option<f64>,
}

/// Queries whose reply's code changes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CodeChangeView {
    /// The code before.
    pub(crate) before: u16,
    /// ... and after.
    pub(crate) after: u16,
    /// How many.
    pub(crate) queries: f64,
}

/// The same fields, under a schema.
pub(super) fn result(outcome: &ReplayOutcome) -> Result<ReplayResultView, Failure> {
    let view = serde_json::to_value(outcome).and_then(serde_json::from_value);
    Ok(view.map_err(anyhow::Error::from)?)
}

impl LimitView {
    pub(super) fn text(&self) -> String {
        format!(
            "--{} allows {:.1} %, and it would be {:.1} %",
            self.name,
            self.limit * 100.0,
            self.found * 100.0
        )
    }
}

/// For people.
pub(super) fn render(view: &ReplayView) -> String {
    let result = &view.result;
    let mut text = head(view);
    text.push('\n');
    let rows = [
        ("to another cluster", &result.moved, Some(&result.moved_domains)),
        ("to another server", &result.moved_servers, None),
        ("without a server from now on", &result.lost, None),
        ("with a server only now", &result.gained, None),
    ];
    let mut table = Table::new(&["queries that go", "share", "95 %", "domains"]);
    for (what, share, domains) in rows {
        let of = |it: &DomainCountView| format!("{} of {}", count(it), count(&result.domains));
        table.row([
            what.to_owned(),
            tenths(share.share),
            interval(share),
            domains.map(of).unwrap_or_default(),
        ]);
    }
    text.push_str(&table.render());
    text.push_str(&flows(result));
    text.push_str(&areas(result));
    text.push_str(&servers(result));
    text.push_str(&codes(result));
    text
}

fn head(view: &ReplayView) -> String {
    let result = &view.result;
    let log = &result.log;
    let mut text = format!(
        "log: {} queries in {} lines, {:.0} of them answered with a server\n",
        log.queries, log.read, result.queries
    );
    if log.broken > 0 {
        let told: Vec<String> =
            log.first_broken.iter().map(|(place, why)| format!("{place}: {why}")).collect();
        text.push_str(&format!("BROKEN: {} lines; first {}\n", log.broken, told.join("; ")));
    }
    let counted = [
        (log.passed_over as f64, "dnstap frames of other kinds, passed over"),
        (log.beyond, "queries of more areas than are told apart, told together as (other)"),
        (log.other_rounds as f64, "rounds of the journal under other configurations, passed over"),
        (
            log.without_world as f64,
            "lines of Plans that the journal lacks: the World before stood in",
        ),
        (
            log.late as f64,
            "lines later than their Plan, or older than the journal: a later World stood in",
        ),
        (view.world.broken as f64, "broken lines in the journal"),
    ];
    for (number, what) in counted.into_iter().filter(|(number, _)| *number > 0.0) {
        text.push_str(&format!("{number} {what}\n"));
    }
    text.push_str(&format!("World: {}\n", view.world.told));
    if !view.unknown_servers.is_empty() {
        let few: Vec<&str> = view.unknown_servers.iter().take(5).map(String::as_str).collect();
        let rest = view.unknown_servers.len() - few.len();
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let few = few.join(", ");
        text.push_str(&format!("unknown in it, taken as up with unknown load: {few}{rest}\n"));
    }
    text.push_str(&format!("compared with {}\n", view.compared_with));
    if !result.drawn.is_empty() {
        let drawn = result.drawn.join(", ");
        text.push_str(&format!("counted by one draw a line, not expected: {drawn}\n"));
    }
    text
}

fn flows(result: &ReplayResultView) -> String {
    if result.flows.is_empty() {
        return "\nnobody moves to another cluster\n".to_owned();
    }
    let mut table = Table::new(&["service", "area", "from", "to", "queries", "share", "domains"]);
    for flow in result.flows.iter().take(ROWS_MAX) {
        let area = |area: &Option<String>| area.clone().unwrap_or_else(|| "-".to_owned());
        let (before, after) = (area(&flow.area_before), area(&flow.area_after));
        let cluster = |it: &Option<String>| it.clone().unwrap_or_else(|| "no server".to_owned());
        table.row([
            flow.service.clone(),
            if before == after { before } else { format!("{before} -> {after}") },
            cluster(&flow.from),
            cluster(&flow.to),
            format!("{:.0}", flow.queries),
            tenths(flow.share.share),
            count(&flow.domains),
        ]);
    }
    format!("\n{}{}", table.render(), more(result.flows.len()))
}

fn areas(result: &ReplayResultView) -> String {
    let mut table = Table::new(&["service", "area", "queries", "before", "after"]);
    for area in result.areas.iter().take(ROWS_MAX) {
        let queries = match (area.queries_before, area.queries_after) {
            (before, after) if before == after => format!("{after:.0}"),
            (before, after) => format!("{before:.0} -> {after:.0}"),
        };
        let row = [&area.before, &area.after].map(|clusters| places(clusters));
        let [before, after] = row;
        table.row([area.service.clone(), area.area.clone(), queries, before, after]);
    }
    format!("\n{}{}", table.render(), more(result.areas.len()))
}

fn servers(result: &ReplayResultView) -> String {
    let mut servers: Vec<&ServerShiftView> = result.servers.iter().collect();
    if servers.len() > ROWS_MAX {
        // The greatest changes; JSON has all.
        let change = |it: &ServerShiftView| (it.after.share - it.before.share).abs();
        servers.sort_by(|one, other| change(other).total_cmp(&change(one)));
    }
    let head = ["server", "cluster", "before", "after", "95 %", "queries", "load", "then about"];
    let mut table = Table::new(&head);
    for server in servers.iter().take(ROWS_MAX) {
        table.row([
            server.server.clone(),
            server.cluster.clone(),
            tenths(server.before.share),
            tenths(server.after.share),
            interval(&server.after),
            format!("{:.0} -> {:.0}", server.queries_before, server.queries_after),
            percent(server.load),
            percent(server.load_after),
        ]);
    }
    format!("\n{}{}", table.render(), more(servers.len()))
}

fn codes(result: &ReplayResultView) -> String {
    let mut text = String::new();
    for change in &result.codes {
        let (before, after) = (rcode::name(change.before), rcode::name(change.after));
        text.push_str(&format!("{:.0} queries: {before} -> {after}\n", change.queries));
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// "near 80 %, far 20 %".
fn places(clusters: &[ClusterShareView]) -> String {
    match clusters {
        [] => "nowhere".to_owned(),
        [one] => one.cluster.clone(),
        several => {
            let place =
                |it: &ClusterShareView| format!("{} {}", it.cluster, percent(Some(it.share.share)));
            several.iter().map(place).collect::<Vec<_>>().join(", ")
        }
    }
}

fn tenths(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn interval(share: &ShareIntervalView) -> String {
    if share.low == share.high {
        return "exact".to_owned();
    }
    format!("{:.1} to {:.1} %", share.low * 100.0, share.high * 100.0)
}

fn count(count: &DomainCountView) -> String {
    if count.low == count.high {
        return count.count.to_string();
    }
    format!("about {}", count.count)
}

fn more(rows: usize) -> String {
    match rows.saturating_sub(ROWS_MAX) {
        0 => String::new(),
        rest => format!("and {rest} more (--json has all)\n"),
    }
}
