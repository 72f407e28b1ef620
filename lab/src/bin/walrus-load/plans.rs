//! How long a new Plan is on its way to many Directors.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use walrus_core::config::{NatsAuthentication, NatsSettings};
use walrus_core::message::{Hello, Message, Presence, Role, VERSION};
use walrus_core::plan::{Plan, PlanNumber};
use walrus_core::world::{Life, Name};
use walrus_host::bus::{Bus, BusEvent, BusStart, PlanEar};
use walrus_host::clock::Clock;
use walrus_host::shutdown::Shutdown;

use super::controller::Controller;
use super::figures::Figures;
use super::nats::Nats;
use super::{Wanted, topology};

/// As `[control] detection` is by default, and a third of it.
const DETECTION: Duration = Duration::from_secs(3);
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Until every Director has a Plan.
const THERE_WITHIN: Duration = Duration::from_secs(60);
/// Between two changes, so that no round holds one back for the sake of the one before.
const BETWEEN: Duration = Duration::from_secs(2);
/// The goal for a difference to 200 Directors, in milliseconds.
const GOAL_MS: f64 = 1_000.0;

/// Directors that put Plans together, as all do where each has a machine of its own. Of the others it is told
/// when the last part has come in: two hundred times the work of one would be measured otherwise.
const WHOLE: usize = 10;

/// One Director, as far as Plans go.
struct Director {
    plan: watch::Receiver<Option<Arc<Plan>>>,
    /// Of the newest Plan that is there.
    number: watch::Receiver<Option<PlanNumber>>,
}

pub(crate) async fn measure(wanted: &Wanted) -> Result<Figures> {
    let folder = tempfile::tempdir()?;
    let nats = Nats::start(folder.path()).await?;
    let address = |server: usize| Ipv4Addr::from(0x0ac8_0000 + server as u32);
    let carrier = format!("[group.nats]\nservers = [\"{}\"]\n", nats.address);
    let text = topology::of(wanted.servers, address, "") + &carrier;
    let controller = Controller::start(folder.path(), &text).await?;
    let shutdown = Shutdown::new();
    let bytes = Arc::new(AtomicUsize::new(0));
    let mut directors = Vec::new();
    for number in 0..wanted.directors {
        directors.push(direct(number, &nats.address.to_string(), &bytes, &shutdown)?);
    }
    for director in &mut directors {
        let there = director.number.wait_for(Option::is_some);
        if tokio::time::timeout(THERE_WITHIN, there).await.is_err() {
            bail!("not every Director got a Plan within {THERE_WITHIN:?}");
        }
    }
    let mut times = Vec::new();
    bytes.store(0, Ordering::Relaxed);
    for change in 0..wanted.changes {
        tokio::time::sleep(BETWEEN).await;
        times.push(time_change(change, &controller, &mut directors).await?);
    }
    let used = controller.measure(Duration::from_secs(10)).await?;
    times.sort_by(|one, two| one.1.total_cmp(&two.1));
    let middle = times[times.len() / 2];
    let worst = times[times.len() - 1];
    let received = bytes.load(Ordering::Relaxed) as f64;
    let mut figures = Figures::new(format!(
        "a Plan of {} servers to {} Directors, {} changes",
        wanted.servers, wanted.directors, wanted.changes
    ));
    figures.tell(
        "bytes of a change to each Director",
        received / (wanted.changes * wanted.directors) as f64,
        "",
    );
    figures.tell("until one Director has put it together, median", middle.0, "ms");
    figures.tell("until all have it, median", middle.1, "ms");
    figures.compare("until all have it, longest", worst.1, "ms", GOAL_MS);
    figures.tell("CPU of the Controller at rest, share of a core", used.cores * 100.0, "%");
    figures.tell("memory of the Controller", used.memory_mib, "MiB");
    Ok(figures)
}

/// From an operator's drain until one Director has put its Plan together, and until all have it, in milliseconds.
async fn time_change(
    change: usize,
    controller: &Controller,
    directors: &mut [Director],
) -> Result<(f64, f64)> {
    let server: Name = topology::name(change).parse()?;
    let is_there = |plan: &Option<Arc<Plan>>| {
        plan.as_ref().is_some_and(|plan| {
            plan.servers.iter().any(|it| it.name == server && it.life == Life::Drained)
        })
    };
    let begin = Instant::now();
    let (body, path) = (json!({ "target": format!("server:{server}") }), "/drain");
    controller.post(path, &body).await?;
    let (one, others) = directors.split_first_mut().context("no Director")?;
    let held = tokio::time::timeout(THERE_WITHIN, one.plan.wait_for(is_there)).await;
    let number = held.context("no Plan came")??.as_ref().map(|plan| plan.number.clone());
    let first = begin.elapsed().as_secs_f64() * 1e3;
    let waits = others.iter_mut().map(|director| async {
        let there = director.number.wait_for(|held| *held >= number);
        let _ = tokio::time::timeout(THERE_WITHIN, there).await;
        begin.elapsed().as_secs_f64() * 1e3
    });
    Ok((first, join_all(waits).await.into_iter().fold(first, f64::max)))
}

/// All of them at once, each polled when it can go on.
async fn join_all<F: Future<Output = f64>>(all: impl Iterator<Item = F>) -> Vec<f64> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done = vec![None; all.len()];
    std::future::poll_fn(|context| {
        for (future, took) in all.iter_mut().zip(&mut done) {
            if took.is_none()
                && let std::task::Poll::Ready(it) = future.as_mut().poll(context)
            {
                *took = Some(it);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// A connection of its own, what puts Plans together, and hellos, as a node with the role director alone.
fn direct(
    number: usize,
    server: &str,
    bytes: &Arc<AtomicUsize>,
    shutdown: &Shutdown,
) -> Result<Director> {
    let name: Name = format!("d{number}").parse()?;
    let clock = Clock::real();
    let settings = NatsSettings {
        servers: vec![server.to_owned()],
        prefix: "walrus".to_owned(),
        authentication: NatsAuthentication::None,
        authority: None,
        certificate: None,
        key: None,
        insecure: false,
    };
    let start = BusStart {
        settings,
        voices: vec![(Role::Director, name.clone())],
        session: 1,
        detection: DETECTION,
        clock: clock.clone(),
        seed: number as u64,
    };
    let (bus, events) = Bus::connect(start, shutdown.clone());
    let (ear, mut complete) = PlanEar::new(bus.clone(), Role::Director, None, clock);
    let (plans, plan) = watch::channel(None::<Arc<Plan>>);
    let (numbers, number_held) = watch::channel(None::<PlanNumber>);
    let numbers = Arc::new(numbers);
    let held = number_held.clone();
    let put_together = (number < WHOLE).then_some(ear);
    tokio::spawn(hear(events, put_together, numbers.clone(), bytes.clone()));
    tokio::spawn(async move {
        while let Some(plan) = complete.recv().await {
            numbers.send_replace(Some(plan.number.clone()));
            plans.send_replace(Some(plan));
        }
    });
    tokio::spawn(greet(bus, name, held));
    Ok(Director { plan, number: number_held })
}

/// Parts as they come: put together where there is an ear, counted elsewhere.
async fn hear(
    mut events: mpsc::Receiver<BusEvent>,
    ear: Option<PlanEar>,
    arrived: Arc<watch::Sender<Option<PlanNumber>>>,
    bytes: Arc<AtomicUsize>,
) {
    let mut parts = BTreeMap::<PlanNumber, u32>::new();
    while let Some(event) = events.recv().await {
        match (event.envelope.message, &ear) {
            (Message::PlanPart(part), ear) => {
                bytes.fetch_add(part.text.len(), Ordering::Relaxed);
                if let Some(ear) = ear {
                    ear.part(part);
                    continue;
                }
                let came = parts.entry(part.number.clone()).or_default();
                *came += 1;
                if *came >= part.parts {
                    arrived.send_replace(Some(part.number));
                }
            }
            (Message::Presence(Presence { plan: Some(number), .. }), Some(ear)) => {
                ear.number(number);
            }
            _ => {}
        }
    }
}

/// A hello each heartbeat, with what is held.
async fn greet(bus: Bus, name: Name, held: watch::Receiver<Option<PlanNumber>>) {
    loop {
        bus.say(
            Role::Director,
            Message::Hello(Hello {
                role: Role::Director,
                name: name.clone(),
                session: 1,
                versions: vec![VERSION],
                token: None,
                plan: held.borrow().clone(),
                refused: None,
                marks: None,
                program: String::new(),
            }),
        );
        tokio::time::sleep(HEARTBEAT).await;
    }
}
