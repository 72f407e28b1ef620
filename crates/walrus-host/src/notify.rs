//! Tells people: a webhook and a command, each notice to both.
//!
//! Notices wait in a bounded queue for each of the two, so that neither holds up the other nor a
//! round. A way that fails is said once in the log, and once more when it works again.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use walrus_core::config::NotifySettings;
use walrus_core::control::Notice;
use walrus_core::world::Name;

use crate::clock::{Busy, Clock};
use crate::http::{Request, fetch};
use crate::shutdown::Shutdown;

/// Notices that wait for each way; beyond that the newest are left out, with a line in the log.
const QUEUE_MAX: usize = 1024;
/// For each attempt, of the webhook and of the command.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The waits between the attempts.
const RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// Takes notices and passes them on in tasks of its own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notifier {
    queues: [(Way, mpsc::Sender<Queued>); 2],
    settings: Arc<Mutex<NotifySettings>>,
    clock: Clock,
    node: Name,
}

/// How a notice reaches people.
#[derive(Clone, Copy, Debug)]
enum Way {
    Webhook,
    Command,
}

#[derive(Debug)]
struct Queued {
    document: Arc<[u8]>,
    /// Until the first attempt is over: a retry must not hold a manual clock still.
    busy: Busy,
}

/// What is sent: one JSON object.
#[derive(Serialize)]
struct Document<'a> {
    walrus: u32,
    kind: &'static str,
    node: &'a Name,
    unix_ms: u64,
    notice: &'a Notice,
}

impl Notifier {
    /// A notifier that runs until shutdown.
    #[must_use]
    pub fn spawn(settings: NotifySettings, node: Name, clock: Clock, shutdown: Shutdown) -> Self {
        let settings = Arc::new(Mutex::new(settings));
        let queues = [Way::Webhook, Way::Command].map(|way| {
            let (queue, waiting) = mpsc::channel(QUEUE_MAX);
            let (settings, shutdown) = (settings.clone(), shutdown.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = deliver(way, &settings, waiting) => {}
                    () = shutdown.requested() => {}
                }
            });
            (way, queue)
        });
        Self { queues, settings, clock, node }
    }

    /// From now on tells others.
    pub fn reconfigure(&self, settings: NotifySettings) {
        *lock(&self.settings) = settings;
    }

    /// Passes a notice on. Never waits.
    pub fn tell(&self, notice: &Notice) {
        let (kind, unix_ms) = ("notice", self.clock.unix_ms());
        let document = Document { walrus: 1, kind, node: &self.node, unix_ms, notice };
        let Ok(document) = serde_json::to_vec(&document) else { return };
        let document: Arc<[u8]> = document.into();
        for (way, queue) in &self.queues {
            let busy = self.clock.activity().begin();
            if queue.try_send(Queued { document: document.clone(), busy }).is_err() {
                tracing::warn!(
                    ?way,
                    subject = notice.subject,
                    "a notice was left out: too many wait"
                );
            }
        }
    }
}

/// Passes notices on by one way, one after the other.
async fn deliver(way: Way, settings: &Mutex<NotifySettings>, mut waiting: mpsc::Receiver<Queued>) {
    let mut failing = false;
    let mut backlog = VecDeque::new();
    loop {
        let (document, busy) = match backlog.pop_front() {
            Some(document) => (document, None),
            None => match waiting.recv().await {
                Some(queued) => (queued.document, Some(queued.busy)),
                None => return,
            },
        };
        let settings = lock(settings).clone();
        let mut result = attempt(way, &settings, &document).await;
        drop(busy);
        for wait in RETRIES {
            if result.is_ok() {
                break;
            }
            pause(wait, &mut waiting, &mut backlog).await;
            result = attempt(way, &settings, &document).await;
        }
        match &result {
            Err(problem) if !failing => {
                tracing::error!(?way, problem, "people are not told: the notifier fails");
            }
            Ok(()) if failing => tracing::info!(?way, "the notifier works again"),
            _ => {}
        }
        failing = result.is_err();
    }
}

/// Waits between two attempts. What comes meanwhile will be late, so nobody waits for it: it is
/// taken out of the queue and its `Busy` dropped.
async fn pause(
    wait: Duration,
    waiting: &mut mpsc::Receiver<Queued>,
    backlog: &mut VecDeque<Arc<[u8]>>,
) {
    let over = sleep(wait);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return,
            Some(queued) = waiting.recv(), if backlog.len() < QUEUE_MAX => {
                backlog.push_back(queued.document);
            }
        }
    }
}

/// Nothing to do is done.
async fn attempt(way: Way, settings: &NotifySettings, document: &[u8]) -> Result<(), String> {
    match (way, &settings.webhook, &settings.command) {
        (Way::Webhook, Some(url), _) => post(url, document).await,
        (Way::Command, _, Some(words)) => run(words, document).await,
        (Way::Webhook, None, _) | (Way::Command, _, None) => Ok(()),
    }
}

fn lock(settings: &Mutex<NotifySettings>) -> MutexGuard<'_, NotifySettings> {
    settings.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn post(url: &str, document: &[u8]) -> Result<(), String> {
    let request = Request {
        timeout: ATTEMPT_TIMEOUT,
        body_max: 1024,
        ..Request::post_json(url, document.to_vec())
    };
    match fetch(request).await {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(format!("status {}", answer.status)),
        Err(error) => Err(error.short()),
    }
}

async fn run(words: &[String], document: &[u8]) -> Result<(), String> {
    let [program, arguments @ ..] = words else { return Err("the command is empty".to_owned()) };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    let input = child.stdin.take();
    let done = timeout(ATTEMPT_TIMEOUT, async {
        if let Some(mut input) = input {
            // A command that does not read its input is not at fault for it.
            let _ = input.write_all(document).await;
            let _ = input.write_all(b"\n").await;
        }
        child.wait().await
    });
    match done.await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("{program} ended with {status}")),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        // Dropping the child kills it.
        Err(_) => Err(format!("{program} took longer than 10 s and was killed")),
    }
}

#[cfg(test)]
mod tests {
    use walrus_core::control::NoticeKind;

    use super::*;
    use crate::http::tests::origin;

    fn notice() -> Notice {
        Notice {
            kind: NoticeKind::Panic,
            subject: "fra1".to_owned(),
            text: "fra1 panics".to_owned(),
            recovered: false,
            repeated: 0,
        }
    }

    fn notifier(settings: NotifySettings) -> (Notifier, crate::clock::ManualClock) {
        let (clock, hand) = Clock::manual();
        (Notifier::spawn(settings, "a".parse().unwrap(), clock, Shutdown::new()), hand)
    }

    #[tokio::test]
    async fn webhook_and_command_get_one_json_object() {
        let (address, mut asked) = origin("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("told");
        let script = format!("cat > {}", file.display());
        let settings = NotifySettings {
            webhook: Some(format!("http://{address}/hook")),
            command: Some(vec!["sh".to_owned(), "-c".to_owned(), script]),
            ..NotifySettings::default()
        };
        let (notifier, hand) = notifier(settings);
        notifier.tell(&notice());
        hand.settled().await;
        let asked = asked.try_recv().unwrap();
        let (head, body) = asked.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /hook ") && head.contains("application/json"), "{head}");
        let told: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&told["walrus"], &told["kind"]), (&1.into(), &"notice".into()));
        assert_eq!(told["notice"]["subject"], "fra1");
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), body);
    }

    #[tokio::test]
    async fn a_failing_notifier_holds_nobody_up() {
        let settings = NotifySettings {
            webhook: Some("http://127.0.0.1:1/".to_owned()),
            command: Some(vec!["/nonexistent/command".to_owned()]),
            ..NotifySettings::default()
        };
        let (notifier, hand) = notifier(settings);
        for _ in 0..QUEUE_MAX + 10 {
            notifier.tell(&notice());
        }
        notifier.reconfigure(NotifySettings::default());
        drop(hand);
    }

    #[tokio::test]
    async fn what_fails_is_told() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(run(&words("true"), b"{}").await, Ok(()));
        assert!(run(&words("false"), b"{}").await.unwrap_err().contains("exit status: 1"));
        assert!(run(&[], b"{}").await.is_err());
        assert_eq!(post("http://127.0.0.1:1/", b"{}").await.unwrap_err(), "connection refused");
    }
}
