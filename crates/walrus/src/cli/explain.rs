//! `walrus explain`: why a client gets the answer that it gets.

use super::{ExplainArguments, Failure};
use crate::api::client::Client;
use crate::api::explain::{ExplainQuery, ExplanationView, render};
use crate::output::{say, say_json};

pub(super) fn run(arguments: &ExplainArguments) -> Result<(), Failure> {
    let query = ExplainQuery {
        name: arguments.name.clone(),
        record_type: Some(arguments.record_type.clone()),
        client: arguments.client.clone(),
        resolver: arguments.resolver,
        server: arguments.server,
    };
    let explanation: ExplanationView = match &arguments.config {
        Some(path) => crate::node::explain_without_one(path, &arguments.api.state, &query)?,
        None => Client::with_token_if_any(&arguments.api)?.get_with("/explain", &query.pairs())?,
    };
    if arguments.json { say_json("explanation", &explanation) } else { say(&render(&explanation)) }
}
