//! `walrus up`, `demo`, `reporter` and `origin`: the commands that stay.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use walrus_host::clock::Clock;
use walrus_host::shutdown::{Reload, Shutdown};

use super::{DemoArguments, Failure, UpArguments};
use crate::load::{self, LoadError};
use crate::node::confine::{become_configured_user, confine};
use crate::node::descriptors::make_room;
use crate::node::{Node, Opened, Start};
use crate::origin::{self, OriginSettings};
use crate::{demo, expiry, test_clock};

pub(super) fn demo(arguments: &DemoArguments) -> Result<(), Failure> {
    walrus_host::log::start(&walrus_core::config::LogSettings {
        // What each Plan changes is what one wants to watch; the rest only if it is wrong.
        level: "warn,walrus::node::tell_changes=info".to_owned(),
        format: walrus_core::config::LogFormat::Text,
    })
    .context("starting the log")?;
    on_runtime(Threads::Two, demo::run(arguments))
}

pub(super) fn up(arguments: UpArguments) -> Result<(), Failure> {
    let checked = load::check(&arguments.config).map_err(LoadError::into_failure)?;
    walrus_host::log::start(&checked.configuration.log).context("starting the log")?;
    // Before the sandbox, where a limit is no longer changed.
    make_room(&checked.configuration);
    let on_a_test_clock = arguments.test_clock.is_some();
    let confined = confine(&checked, &arguments.config, on_a_test_clock)?;
    // A manual clock is exact only where tasks take turns.
    let threads = if arguments.test_clock.is_some() { Threads::One } else { Threads::Two };
    on_runtime(threads, async move {
        let shutdown = Shutdown::new();
        shutdown.on_signals().context("listening for signals")?;
        // From the beginning: a service manager may say "reload" before all is started.
        let mut hangups = Reload::listen().context("listening for SIGHUP")?;
        let (clock, manual) = match arguments.test_clock {
            Some(_) => {
                let (clock, manual) = Clock::manual();
                (clock, Some(manual))
            }
            None => (Clock::real(), None),
        };
        let opened = Opened::new(checked, &confined)?;
        let start = Start { clock, seed: arguments.seed, path: Some(arguments.config), confined };
        let node = Node::start(opened, start, shutdown.clone()).await?;
        if let (Some(socket), Some(manual)) = (arguments.test_clock, manual) {
            test_clock::serve(&socket, manual, node.clone(), shutdown.clone())?;
        }
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                () = hangups.wanted() => tokio::select! {
                    // What signs a large zone hears of the end by itself, and is not waited for here.
                    () = shutdown.requested() => break,
                    () = node.reload_and_log() => {}
                },
            }
        }
        node.stop().await;
        Ok(())
    })
}

pub(super) fn reporter(path: &Path) -> Result<(), Failure> {
    let (configuration, settings) = load::reporter(path).map_err(LoadError::into_failure)?;
    walrus_host::log::start(&configuration.log).context("starting the log")?;
    if let Some(user) = become_configured_user(&configuration, path)? {
        tracing::info!(by = user, "confined");
    }
    let expiring = expiry::look(&configuration);
    expiry::warnings(&expiring).iter().for_each(|warning| tracing::warn!("{warning}"));
    on_runtime(Threads::One, async move {
        let shutdown = Shutdown::new();
        shutdown.on_signals().context("listening for signals")?;
        crate::node::run_reporter(configuration, settings, Clock::real(), shutdown).await
    })
}

pub(super) fn origin(settings: OriginSettings, until_input_ends: bool) -> Result<(), Failure> {
    on_runtime(Threads::One, async move {
        let shutdown = Shutdown::new();
        shutdown.on_signals().context("listening for signals")?;
        if until_input_ends {
            let shutdown = shutdown.clone();
            // A thread, for no read of standard input can be cancelled; it ends with the process.
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
                shutdown.request();
            });
        }
        origin::run(settings, shutdown).await?;
        Ok(())
    })
}

/// How long a file that cannot be read may keep the process from its end.
const HANGS_WITHIN: Duration = Duration::from_secs(2);

/// Threads of the runtime.
enum Threads {
    /// Enough for an agent.
    One,
    /// Enough for everything but the answers, which have their own.
    Two,
}

fn on_runtime(
    threads: Threads,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut builder = match threads {
        Threads::One => tokio::runtime::Builder::new_current_thread(),
        Threads::Two => tokio::runtime::Builder::new_multi_thread(),
    };
    if matches!(threads, Threads::Two) {
        builder.worker_threads(2);
    }
    let runtime = builder
        .max_blocking_threads(16)
        .thread_name("walrus")
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let ended = runtime.block_on(work);
    // What must be stored is stored by now; a file that hangs is not waited for without end.
    runtime.shutdown_timeout(HANGS_WITHIN);
    ended
}
