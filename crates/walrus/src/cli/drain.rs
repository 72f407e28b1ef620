//! `walrus drain`, `walrus undrain` and `walrus reload`: what changes the running system.

use super::{ApiArguments, Failure};
use crate::api::client::Client;
use crate::api::{DoneView, DrainRequest, ReloadView};
use crate::output::{complain, say, say_json};

pub(super) fn drain(
    api: &ApiArguments,
    target: String,
    force: bool,
    json: bool,
) -> Result<(), Failure> {
    done(api, "/drain", &DrainRequest { target, force }, json)
}

pub(super) fn undrain(api: &ApiArguments, target: String, json: bool) -> Result<(), Failure> {
    done(api, "/undrain", &DrainRequest { target, force: false }, json)
}

fn done(api: &ApiArguments, path: &str, request: &DrainRequest, json: bool) -> Result<(), Failure> {
    let done: DoneView = Client::with_token(api)?.post(path, request)?;
    if json { say_json("done", &done) } else { say(&format!("{}\n", done.done)) }
}

pub(super) fn reload(api: &ApiArguments, json: bool) -> Result<(), Failure> {
    let reload: ReloadView = Client::with_token(api)?.patient().post("/reload", &())?;
    if json {
        return say_json("reload", &reload);
    }
    for warning in &reload.warnings {
        complain(&format!("warning: {warning}"));
    }
    say(&format!("{}\n", reload.configuration))
}
