//! `walrus top`: a running system at work, from two looks at its API a moment apart.
//!
//! Nothing here knows how anything is counted: [`TopView`] is made of what `GET /traffic` and
//! `GET /status` say, so that it shows another machine's name server as well as this one's.

mod heading;
#[cfg(feature = "top")]
mod screen;
mod sheet;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, Write};
use std::time::Duration;

use crate::api::client::Client;
use crate::api::status::StatusView;
use crate::api::traffic::TrafficView;
use crate::cli::{Failure, TopArguments};
use crate::output::{Envelope, Table, say, say_json};
use sheet::Pane;
pub(crate) use view::TopView;

/// Rows of each table that `--once` prints.
const ROWS_ONCE: usize = 10;

pub(crate) fn run(arguments: &TopArguments) -> Result<(), Failure> {
    let mut watch = Watch { client: Client::with_token(&arguments.api)?, earlier: None };
    let every = Duration::from_secs(arguments.every);
    if arguments.once {
        watch.look()?;
        std::thread::sleep(every);
        let view = watch.look()?;
        return if arguments.json { say_json("top", &view) } else { say(&text(&view)) };
    }
    if arguments.json {
        return stream(watch, every);
    }
    show(watch, every)
}

#[cfg(feature = "top")]
fn show(watch: Watch, every: Duration) -> Result<(), Failure> {
    screen::run(watch, every)
}

#[cfg(not(feature = "top"))]
fn show(_: Watch, _: Duration) -> Result<(), Failure> {
    let text = "this walrus was built without its screen (the feature `top`): use --once or --json";
    Err(Failure::WrongUse(text.to_owned()))
}

/// Looks again and again.
struct Watch {
    client: Client,
    earlier: Option<TrafficView>,
}

impl Watch {
    /// What happened since the last look.
    fn look(&mut self) -> Result<TopView, Failure> {
        let now: TrafficView = self.client.get("/traffic")?;
        // A name server need not be a Controller, and without one all but the health is there.
        let status: Option<StatusView> = self.client.get("/status").ok();
        let view = TopView::between(self.earlier.as_ref(), &now, status.as_ref());
        self.earlier = Some(now);
        Ok(view)
    }
}

/// One object a line until nobody reads any more.
fn stream(mut watch: Watch, every: Duration) -> Result<(), Failure> {
    watch.look()?;
    loop {
        std::thread::sleep(every);
        let view = watch.look()?;
        let mut line = serde_json::to_vec(&Envelope::new("top", &view))
            .map_err(|error| Failure::CouldNot(format!("the answer as JSON: {error}")))?;
        line.push(b'\n');
        let mut out = io::stdout().lock();
        match out.write_all(&line).and_then(|()| out.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Failure::CouldNot(format!("standard output: {error}"))),
        }
    }
}

/// All tables, their first rows.
fn text(view: &TopView) -> String {
    let mut text = heading::lines(view).join("\n") + "\n";
    let (_, health) = heading::health(view);
    if !health.is_empty() {
        text.push_str(&(health + "\n"));
    }
    for pane in Pane::ALL.into_iter().filter(|pane| *pane != Pane::Overview) {
        for sheet in pane.sheets(view) {
            let note = pane.note(view);
            let note = if note.is_empty() { note } else { format!(": {note}") };
            text.push_str(&format!("\n{}{note}\n", pane.title()));
            let mut table = Table::new(&sheet.headings);
            for row in sheet.rows.iter().take(ROWS_ONCE) {
                table.row(row.iter().map(|cell| cell.text().to_owned()));
            }
            text.push_str(&table.render());
            if let Some(more) = sheet.rows.len().checked_sub(ROWS_ONCE + 1) {
                text.push_str(&format!("and {} more\n", more + 1));
            }
        }
    }
    text
}
