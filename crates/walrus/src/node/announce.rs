//! What a node says of itself at its start: what runs here, where, and what others need to know.

use walrus_core::config::{Configuration, ReporterSettings, Roles};

use super::Node;

/// A few lines for the log, none of them secret.
pub(super) fn announce(node: &Node) {
    let loaded = node.loaded();
    let configuration = &loaded.configuration;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        node = %configuration.node.name,
        roles = roles(&configuration.node.roles),
        configuration = %configuration.digest,
        state = %configuration.node.state.display(),
        "walrus starts"
    );
    if !node.confined.by.is_empty() {
        tracing::info!(by = node.confined.by.join("; "), "confined");
    }
    if let Some(director) = node.director() {
        for address in director.addresses() {
            tracing::info!(%address, "answering DNS queries by UDP and TCP");
        }
        match director.plan() {
            Some(plan) => tracing::info!(plan = %plan.number, "answering from the saved Plan"),
            None => tracing::info!("no Plan was saved: services wait for the first round"),
        }
        if node.controller().is_none() && node.bus().is_none() {
            tracing::warn!(
                "no Controller runs here, and without [group.nats] none is heard: the saved Plan \
                 stays in force"
            );
        }
    }
    for name_server in
        configuration.name_servers.iter().filter(|_| configuration.node.roles.updater)
    {
        let (address, zone) = (name_server.address, &name_server.zone);
        tracing::info!(%address, %zone, "keeping a name server up to date");
    }
    if let Some(nats) = &configuration.group.nats {
        let servers = nats.servers.join(", ");
        tracing::info!(servers, prefix = nats.prefix, "taking part in the group over NATS");
    }
    if let Some(address) = node.api_address {
        let token = match &configuration.api.token_file {
            Some(file) => file.clone(),
            None => configuration.node.state.join("token"),
        };
        tracing::info!(%address, token = %token.display(), "serving the API");
    }
    if !node.group_addresses().is_empty() {
        let token = match &configuration.group.token_file {
            Some(file) => file.clone(),
            None => configuration.node.state.join("reporter-token"),
        };
        tracing::info!(token = %token.display(), "Reporters must bring this token");
    }
    let Some(reporter) = &configuration.reporter else { return };
    if !configuration.node.roles.reporter {
        tracing::warn!("[reporter] is not used: add \"reporter\" to [node] roles");
        return;
    }
    let to = reports_to(configuration, reporter);
    tracing::info!(server = %reporter.server, to, "reporting about the web server");
}

/// Whom a Reporter speaks to, in words.
pub(super) fn reports_to(configuration: &Configuration, reporter: &ReporterSettings) -> String {
    let here = configuration.node.roles.controller;
    match (reporter.controllers.as_slice(), &configuration.group.nats) {
        ([], Some(nats)) => format!("the group by {}", nats.servers.join(", ")),
        ([], None) if here => "the Controller of this process".to_owned(),
        (controllers, _) => controllers.join(", "),
    }
}

fn roles(roles: &Roles) -> String {
    let names = [
        (roles.controller, "controller"),
        (roles.director, "director"),
        (roles.updater, "updater"),
        (roles.reporter, "reporter"),
    ];
    let named: Vec<&str> = names.iter().filter(|(here, _)| *here).map(|(_, name)| *name).collect();
    named.join(", ")
}
