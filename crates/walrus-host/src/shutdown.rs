//! Ending cleanly, and reloading: the signals of the operating system as values.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The wish to end. Cheap to clone; every task waits for it beside its work.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Shutdown {
    /// Nobody wants to end yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Asks everybody to end; asking twice is the same.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks.
    pub async fn requested(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = receiver.wait_for(|requested| *requested).await;
    }

    /// Asks on SIGINT (Ctrl-C) and SIGTERM (service managers). Must be called inside a runtime.
    ///
    /// # Errors
    /// If the signals cannot be listened for.
    pub fn on_signals(&self) -> io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            };
            tracing::info!(signal = name, "ending");
            shutdown.request();
        });
        Ok(())
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

/// SIGHUP: the operator wants the configuration read again.
#[derive(Debug)]
pub struct Reload(Signal);

impl Reload {
    /// Begins to listen. Must be called inside a runtime; from then on SIGHUP no longer ends the
    /// process.
    ///
    /// # Errors
    /// If the signal cannot be listened for.
    pub fn listen() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Waits for the next wish; several that came meanwhile are one.
    pub async fn wanted(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_clones_hear_of_it_also_later() {
        let shutdown = Shutdown::new();
        let waiter = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        assert!(!shutdown.is_requested());
        shutdown.clone().request();
        waiter.await.unwrap();
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }

    #[tokio::test]
    async fn signals_are_wishes() {
        let shutdown = Shutdown::new();
        let mut reload = Reload::listen().unwrap();
        shutdown.on_signals().unwrap();
        let send = |name: &str| {
            let process = std::process::id().to_string();
            std::process::Command::new("kill").args(["-s", name, &process]).status().unwrap()
        };
        assert!(send("HUP").success());
        let limit = std::time::Duration::from_secs(10);
        tokio::time::timeout(limit, reload.wanted()).await.unwrap();
        assert!(!shutdown.is_requested());
        assert!(send("TERM").success());
        tokio::time::timeout(limit, shutdown.requested()).await.unwrap();
    }
}
