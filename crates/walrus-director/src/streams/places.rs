//! The bound on connections: who has a place, and who gives way (RFC 7766 section 6.2.3).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use tokio::sync::Notify;

/// One client may have this part of all connections: a fourth, at least two.
const CLIENT_PART: usize = 4;

/// All connections of a thread, and how many each client has.
pub(super) struct Places {
    max: usize,
    connections: RefCell<Connections>,
}

#[derive(Default)]
struct Connections {
    /// By their turn: first those that have brought no message yet, so that a flood of them ends nobody who
    /// has; of both kinds first whoever was silent for longest.
    all: BTreeMap<Turn, (IpAddr, Rc<Notify>)>,
    by_client: BTreeMap<IpAddr, usize>,
    next_turn: u64,
}

/// Whether it has brought a message, and when its turn came last.
type Turn = (bool, u64);

impl Places {
    /// For so many connections at once; at least 1.
    pub(super) fn new(max: usize) -> Rc<Self> {
        Rc::new(Self { max: max.max(1), connections: RefCell::default() })
    }

    /// A place for a client that has not too many yet, if need be that of the connection whose turn it is to
    /// give way.
    pub(super) fn take(self: &Rc<Self>, client: IpAddr) -> Option<Place> {
        let client = network(client);
        let mut connections = self.connections.borrow_mut();
        let of_client = connections.by_client.get(&client).copied().unwrap_or(0);
        if of_client >= (self.max / CLIENT_PART).max(2) {
            return None;
        }
        if connections.all.len() >= self.max {
            let silent = connections.all.first_key_value().map(|(turn, _)| *turn)?;
            let (_, give_way) = connections.remove(silent)?;
            give_way.notify_one();
        }
        let give_way = Rc::new(Notify::new());
        let turn = Cell::new(connections.add(false, client, Rc::clone(&give_way)));
        Some(Place { places: Rc::clone(self), turn, give_way })
    }
}

impl Connections {
    /// Puts a connection behind all others of its kind and tells its turn.
    fn add(&mut self, has_asked: bool, client: IpAddr, give_way: Rc<Notify>) -> Turn {
        let turn = (has_asked, self.next_turn);
        self.next_turn += 1;
        self.all.insert(turn, (client, give_way));
        *self.by_client.entry(client).or_default() += 1;
        turn
    }

    /// Takes a connection out; `None` if it had to give way before.
    fn remove(&mut self, turn: Turn) -> Option<(IpAddr, Rc<Notify>)> {
        let (client, give_way) = self.all.remove(&turn)?;
        if let Some(of_client) = self.by_client.get_mut(&client) {
            *of_client -= 1;
            if *of_client == 0 {
                self.by_client.remove(&client);
            }
        }
        Some((client, give_way))
    }
}

/// A connection's place among those allowed; given back when dropped.
pub(super) struct Place {
    places: Rc<Places>,
    turn: Cell<Turn>,
    /// Notified if another connection takes this place.
    give_way: Rc<Notify>,
}

impl Place {
    /// The connection has brought a message: all others give way before it.
    pub(super) fn renew(&self) {
        let mut connections = self.places.connections.borrow_mut();
        if let Some((client, give_way)) = connections.remove(self.turn.get()) {
            self.turn.set(connections.add(true, client, give_way));
        }
    }

    /// Waits until another connection has taken this place.
    pub(super) async fn lost(&self) {
        self.give_way.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.connections.borrow_mut().remove(self.turn.get());
    }
}

/// Who counts as one client: an IPv4 address, an IPv6 /64.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}
