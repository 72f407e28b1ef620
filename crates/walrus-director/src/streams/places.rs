//! The bound on connections: who has a place, and who gives way (RFC 7766 section 6.2.3).

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use tokio::sync::Notify;

/// One client may have this part of all connections: a fourth, at least two.
const CLIENT_PART: usize = 4;

/// So large a part of all places is there for those that have asked nothing yet.
pub(super) const NEW_PART: usize = 4;

/// What an IPv6 host has for itself at least.
const IPV6_PREFIX: u32 = 64;

/// Longer messages than queries that come at once: 4 MiB.
const LARGE_MAX: usize = 64;
/// Of these from one client: whoever is slow holds up itself alone.
const LARGE_OF_ONE_MAX: usize = 8;
/// There are few of these, and a household or a rented machine often has 256 networks of [`IPV6_PREFIX`].
const LARGE_IPV6_PREFIX: u32 = 56;

/// Places for messages that are longer than any query, until they have come. Who brings nothing gives way to newcomers: no
/// signature can be looked at before.
pub(super) struct LargePlaces(RefCell<LargeTaken>);

#[derive(Default)]
struct LargeTaken {
    /// By turn: first whoever has brought nothing for longest.
    all: BTreeMap<u64, (IpAddr, Rc<Notify>)>,
    next_turn: u64,
}

/// One of them.
pub(super) struct LargePlace {
    places: Rc<LargePlaces>,
    turn: Cell<u64>,
    /// Notified if another message takes this place.
    give_way: Rc<Notify>,
}

impl LargePlaces {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self(RefCell::default()))
    }

    /// A place. If this client has its part, or all are taken, one of this client or of whoever has most gives way: that
    /// which has brought nothing for longest.
    pub(super) fn take(self: &Rc<Self>, client: IpAddr) -> LargePlace {
        let client = network(client, LARGE_IPV6_PREFIX);
        let mut taken = self.0.borrow_mut();
        if let Some(turn) = taken.turn_to_give_way(client)
            && let Some((_, give_way)) = taken.all.remove(&turn)
        {
            give_way.notify_one();
        }
        let give_way = Rc::new(Notify::new());
        let turn = Cell::new(taken.add(client, Rc::clone(&give_way)));
        LargePlace { places: Rc::clone(self), turn, give_way }
    }
}

impl LargeTaken {
    fn turn_to_give_way(&self, client: IpAddr) -> Option<u64> {
        let mut of_each: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (holder, _) in self.all.values() {
            *of_each.entry(*holder).or_default() += 1;
        }
        let of_one = of_each.get(&client).copied().unwrap_or(0);
        let from = if of_one >= LARGE_OF_ONE_MAX {
            client
        } else if self.all.len() >= LARGE_MAX {
            of_each.into_iter().max_by_key(|(_, count)| *count)?.0
        } else {
            return None;
        };
        self.all.iter().find(|(_, (holder, _))| *holder == from).map(|(turn, _)| *turn)
    }

    fn add(&mut self, client: IpAddr, give_way: Rc<Notify>) -> u64 {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.all.insert(turn, (client, give_way));
        turn
    }
}

impl LargePlace {
    /// It has brought more: all others give way before it.
    pub(super) fn renew(&self) {
        let mut taken = self.places.0.borrow_mut();
        if let Some((client, give_way)) = taken.all.remove(&self.turn.get()) {
            self.turn.set(taken.add(client, give_way));
        }
    }

    /// Waits until another message has taken this place.
    pub(super) async fn lost(&self) {
        self.give_way.notified().await;
    }
}

impl Drop for LargePlace {
    fn drop(&mut self) {
        self.places.0.borrow_mut().all.remove(&self.turn.get());
    }
}

/// All connections of a thread, and how many each client has.
pub(super) struct Places {
    max: usize,
    connections: RefCell<Connections>,
    /// Connections of proxies that have not said for whom.
    nameless: Cell<usize>,
}

#[derive(Default)]
struct Connections {
    /// By kind and turn: first those that have brought no message yet, of both kinds first whoever was silent for longest.
    all: BTreeMap<Turn, (IpAddr, Rc<Notify>)>,
    /// How many have brought no message yet.
    new: usize,
    by_client: BTreeMap<IpAddr, OfClient>,
    /// Of each client that has new ones.
    crowds: BTreeSet<Crowd>,
    next_turn: u64,
}

/// Whether it has brought a message, and when its turn came last.
type Turn = (bool, u64);

/// A client's connections.
#[derive(Default)]
struct OfClient {
    all: usize,
    /// The turns of those that have brought no message yet.
    new: BTreeSet<u64>,
}

/// How many new ones a client has, and the oldest's turn: the last of all is the largest, of equal ones the oldest.
type Crowd = (usize, Reverse<u64>);

impl Places {
    /// For so many connections at once; at least 1.
    pub(super) fn new(max: usize) -> Rc<Self> {
        Rc::new(Self { max: max.max(1), connections: RefCell::default(), nameless: Cell::new(0) })
    }

    /// So many of them one client may have.
    pub(super) fn of_one_max(&self) -> usize {
        (self.max / CLIENT_PART).max(2)
    }

    /// A place for a client that has not too many yet, if need be that of the connection whose turn it is to
    /// give way.
    pub(super) fn take(self: &Rc<Self>, client: IpAddr) -> Option<Place> {
        let client = one_client(client);
        let mut connections = self.connections.borrow_mut();
        let of_client = connections.by_client.get(&client).map_or(0, |it| it.all);
        if of_client >= self.of_one_max() {
            return None;
        }
        if connections.all.len() >= self.max {
            let silent = connections.silent(client, self.max / NEW_PART)?;
            let (_, give_way) = connections.remove(silent)?;
            give_way.notify_one();
        }
        let give_way = Rc::new(Notify::new());
        let turn = Cell::new(connections.add(false, client, Rc::clone(&give_way)));
        Some(Place { places: Rc::clone(self), turn, give_way })
    }

    /// Room for a proxy's connection until its client is known; nobody gives way for it.
    pub(super) fn take_nameless(self: &Rc<Self>) -> Option<Nameless> {
        if self.nameless.get() >= (self.max / NEW_PART).max(2) {
            return None;
        }
        self.nameless.set(self.nameless.get() + 1);
        Some(Nameless(Rc::clone(self)))
    }
}

impl Connections {
    /// Whose turn it is to give way to this client. Of those that have asked nothing there may be so many: a flood of
    /// more ends its own, and of those the oldest of the client that has most, so that a few who have many each end
    /// nobody else's; while there are fewer, those that have asked do not keep newcomers from their handshake.
    fn silent(&self, client: IpAddr, new_max: usize) -> Option<Turn> {
        let own = self.by_client.get(&client).and_then(OfClient::crowd);
        let own = own.map(|(count, oldest)| (count + 1, oldest));
        let new = own.max(self.crowds.last().copied()).map(|(_, Reverse(oldest))| (false, oldest));
        let asked = self.all.range((true, 0)..).next().map(|(turn, _)| *turn);
        if self.new < new_max { asked.or(new) } else { new.or(asked) }
    }

    /// Puts a connection behind all others of its kind and tells its turn.
    fn add(&mut self, has_asked: bool, client: IpAddr, give_way: Rc<Notify>) -> Turn {
        let turn = (has_asked, self.next_turn);
        self.next_turn += 1;
        self.all.insert(turn, (client, give_way));
        let of_client = self.by_client.entry(client).or_default();
        of_client.all += 1;
        if !has_asked {
            self.new += 1;
            of_client.change(&mut self.crowds, |new| new.insert(turn.1));
        }
        turn
    }

    /// Takes a connection out; `None` if it had to give way before.
    fn remove(&mut self, turn: Turn) -> Option<(IpAddr, Rc<Notify>)> {
        let (client, give_way) = self.all.remove(&turn)?;
        let (has_asked, number) = turn;
        self.new -= usize::from(!has_asked);
        if let Some(of_client) = self.by_client.get_mut(&client) {
            of_client.all -= 1;
            if !has_asked {
                of_client.change(&mut self.crowds, |new| new.remove(&number));
            }
            if of_client.all == 0 {
                self.by_client.remove(&client);
            }
        }
        Some((client, give_way))
    }
}

impl OfClient {
    /// Changes what is new, and how it is told of.
    fn change(
        &mut self,
        crowds: &mut BTreeSet<Crowd>,
        change: impl FnOnce(&mut BTreeSet<u64>) -> bool,
    ) {
        if let Some(before) = self.crowd() {
            crowds.remove(&before);
        }
        change(&mut self.new);
        crowds.extend(self.crowd());
    }

    fn crowd(&self) -> Option<Crowd> {
        self.new.first().map(|oldest| (self.new.len(), Reverse(*oldest)))
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

/// A proxy's connection whose client is not known yet.
pub(super) struct Nameless(Rc<Places>);

impl Drop for Nameless {
    fn drop(&mut self) {
        self.0.nameless.set(self.0.nameless.get() - 1);
    }
}

/// Who counts as one client for connections.
pub(super) fn one_client(client: IpAddr) -> IpAddr {
    network(client, IPV6_PREFIX)
}

/// Who counts as one client: an IPv4 address, an IPv6 network of this prefix.
fn network(client: IpAddr, ipv6_prefix: u32) -> IpAddr {
    let rest = 128 - ipv6_prefix;
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> rest << rest).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn has(place: &LargePlace) -> bool {
        place.places.0.borrow().all.contains_key(&place.turn.get())
    }

    /// How many of each kind have a place: who has asked, and who has not.
    fn count(places: &Places) -> (usize, usize) {
        let connections = places.connections.borrow();
        let asked = connections.all.keys().filter(|turn| turn.0).count();
        assert_eq!(connections.all.len(), asked + connections.new);
        (asked, connections.new)
    }

    #[test]
    fn neither_a_flood_of_new_connections_nor_many_old_ones_keep_the_others_out() {
        let places = Places::new(8);
        let asked: Vec<Place> = (0..8).map(|it| places.take(client(it)).unwrap()).collect();
        asked.iter().for_each(Place::renew);
        assert_eq!(count(&places), (8, 0));
        // Two newcomers find a place, and have time for their handshake.
        let new: Vec<Place> = (8..10).map(|it| places.take(client(it)).unwrap()).collect();
        assert_eq!(count(&places), (6, 2));
        // A flood of them ends its own.
        let flood: Vec<Place> = (10..250).map(|it| places.take(client(it)).unwrap()).collect();
        assert_eq!(count(&places), (6, 2));
        new[0].renew();
        assert_eq!(count(&places), (6, 2), "its place was taken");
        flood.last().unwrap().renew();
        assert_eq!(count(&places), (7, 1));
        drop((asked, new, flood));
        assert_eq!(count(&places), (0, 0));
        assert!(places.connections.borrow().by_client.is_empty());
        assert!(places.connections.borrow().crowds.is_empty());
    }

    #[test]
    fn networks_with_many_new_connections_end_their_own_and_not_a_strangers() {
        let is_in =
            |place: &Place| place.places.connections.borrow().all.contains_key(&place.turn.get());
        // The oldest of all, and then all that five networks may have, again and again.
        let places = Places::new(40);
        let stranger = places.take(client(1)).unwrap();
        let flood: Vec<_> = (0..200).map(|it| places.take(client(10 + it % 5))).collect();
        assert!(is_in(&stranger));
        assert_eq!(flood.iter().flatten().filter(|it| is_in(it)).count(), 39);
        // One more of a network that has no more than others ends its own.
        let places = Places::new(2);
        let [older, own] = [1, 2].map(|it| places.take(client(it)).unwrap());
        let _newcomer = places.take(client(2)).unwrap();
        assert!(is_in(&older) && !is_in(&own));
    }

    #[test]
    fn one_network_has_a_part_of_the_places_for_long_messages() {
        let places = LargePlaces::new();
        let client = |net: u16, host: u16| IpAddr::from([0x2001, 0xdb8, 0, net, 0, 0, 0, host]);
        let left = |held: &[LargePlace]| held.iter().filter(|place| has(place)).count();
        let other = places.take(client(0, 1));
        let one: Vec<_> = (0..0x100).map(|net| places.take(client(0x1200 + net, net))).collect();
        assert!(has(&other), "whoever takes too many takes its own");
        assert_eq!(left(&one), LARGE_OF_ONE_MAX);
        let all: Vec<_> = (0..0x100).map(|net| places.take(client(net << 8, 1))).collect();
        assert_eq!(left(&one) + left(&all), LARGE_MAX);
        assert!(left(&one) <= 1, "whoever has most gives way first");
        drop((other, one, all));
        assert!(places.0.borrow().all.is_empty());
    }

    #[test]
    fn whoever_brings_nothing_gives_way_to_those_who_bring_long_messages() {
        let places = LargePlaces::new();
        let client = |net: u8| IpAddr::from([10, 0, net, 1]);
        let silent: Vec<_> =
            (0..64).map(|it| places.take(client(it / LARGE_OF_ONE_MAX as u8))).collect();
        assert!(silent.iter().all(has));
        let slow = places.take(client(100));
        let others: Vec<_> = (0..40).map(|it| places.take(client(101 + it))).collect();
        assert!(has(&slow) && others.iter().all(has), "of those who hold many the silent go");
        assert_eq!(silent.iter().filter(|place| has(place)).count(), 23);
        drop((silent, slow, others));
        // Of one network, too: whoever brings something stays.
        let own: Vec<_> = (0..LARGE_OF_ONE_MAX).map(|_| places.take(client(200))).collect();
        own[0].renew();
        let newcomer = places.take(client(200));
        assert!(has(&own[0]) && !has(&own[1]) && has(&newcomer));
    }

    #[test]
    fn there_is_a_place_even_where_there_are_few() {
        for max in [0, 1, 2, 3] {
            let places = Places::new(max);
            let held: Vec<Place> = (0..9).filter_map(|it| places.take(client(it))).collect();
            assert_eq!(held.len(), 9);
            held[8].renew();
            assert!(places.take(client(9)).is_some());
            assert!(places.connections.borrow().all.len() <= max.max(1));
        }
    }
}
