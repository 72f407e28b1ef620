//! The screen of `walrus top`: takes the terminal over and gives it back as it was, also when it
//! panics or is asked to end by a signal.

mod draw;
mod state;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, stdin, stdout};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use anyhow::Context;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use walrus_host::shutdown::Shutdown;

use super::{TopView, Watch};
use crate::cli::Failure;
use state::{Next, Screen};

/// The first two looks are this far apart, so that there is something to see soon; the API looks
/// anew after half a second.
const FIRST: Duration = Duration::from_millis(600);

/// How long a key may wait to be seen by whoever looks for signals and news beside it.
const TURN: Duration = Duration::from_millis(100);

/// Shows until its user, or a signal, ends it.
pub(super) fn run(mut watch: Watch, every: Duration) -> Result<(), Failure> {
    if !stdout().is_terminal() || !stdin().is_terminal() {
        let text = "`walrus top` wants a terminal, and this is none: write `walrus top --once` for \
                    tables, or `walrus top --json` for a script";
        return Err(Failure::WrongUse(text.to_owned()));
    }
    // Whoever cannot be reached is told of before the terminal is taken.
    let mut screen = Screen::new(watch.look()?);
    let shutdown = Shutdown::new();
    listen_for_signals(shutdown.clone())?;
    let (sender, looks) = sync_channel(1);
    std::thread::spawn(move || {
        let mut pause = FIRST;
        loop {
            std::thread::sleep(pause);
            pause = every;
            // Nobody listens any more once the screen is gone.
            if sender.send(watch.look()).is_err() {
                return;
            }
        }
    });
    let shown = ratatui::try_init()
        .context("taking the terminal over")
        .and_then(|mut terminal| show(&mut terminal, &mut screen, &looks, &shutdown));
    ratatui::restore();
    Ok(shown?)
}

/// In raw mode Ctrl-C is a key; what comes from elsewhere is a signal still.
fn listen_for_signals(shutdown: Shutdown) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    {
        let _inside = runtime.enter();
        shutdown.on_signals().context("listening for signals")?;
    }
    std::thread::spawn(move || runtime.block_on(shutdown.requested()));
    Ok(())
}

fn show(
    terminal: &mut DefaultTerminal,
    screen: &mut Screen,
    looks: &Receiver<Result<TopView, Failure>>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    while !shutdown.is_requested() {
        match looks.try_recv() {
            Ok(look) => screen.take(look),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => anyhow::bail!("looking has ended: a bug to report"),
        }
        terminal.draw(|frame| draw::draw(frame, screen)).context("drawing")?;
        if !event::poll(TURN).context("reading keys")? {
            continue;
        }
        // A resized terminal is drawn anew anyhow.
        if let Event::Key(key) = event::read().context("reading keys")?
            && screen.press(key) == Next::End
        {
            break;
        }
    }
    Ok(())
}
