//! Queries by seed: what clients ask, what no client should, and what is no query at all.

use walrus_core::world::Generator;

/// One query, and the way that it goes.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) bytes: Vec<u8>,
    pub(super) tcp: bool,
}

/// IDs of queries are below; those above are for queries that only show that a server has come so far.
pub(super) const IDS: u64 = 0xff00;

/// Types that zones have or that mean something to servers.
const TYPES: [u16; 42] = [
    1, 1, 1, 28, 28, 2, 2, 6, 6, 5, 5, 15, 16, 12, 33, 257, 43, 43, 48, 47, 46, 50, 51, 255, 255,
    39, 39, 13, 17, 35, 44, 52, 59, 60, 61, 64, 65, 65400, 65401, 63, 249, 99,
];
/// Types that stand for a message's own records, transfers, or many types at once.
const META: [u16; 8] = [0, 41, 128, 250, 251, 252, 253, 254];
const SIZES: [u16; 10] = [0, 1, 100, 511, 512, 513, 1232, 1232, 4096, 65535];
/// Names of the class CH that servers tell of themselves under, and two that they do not.
const CHAOS: [&[u8]; 7] = [
    b"\x07version\x04bind\0",
    b"\x07version\x06server\0",
    b"\x02id\x06server\0",
    b"\x08hostname\x04bind\0",
    b"\x07authors\x04bind\0",
    b"\x04bind\0",
    b"\0",
];

/// The query of this number about one of these names (in wire format) or what is near it.
pub(super) fn query(seed: u64, number: u64, names: &[Vec<u8>]) -> Asked {
    let mut generator = Generator::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
    for _ in 0..3 {
        generator.draw();
    }
    let mut chance = Chance(generator);
    let tcp = chance.one_in(7);
    let mut bytes = ((number % IDS) as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(&flags(&mut chance));
    bytes.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    let chaos = chance.one_in(40);
    let mut name = if chaos { chance.of(&CHAOS).to_vec() } else { chance.of(names).clone() };
    if !chaos {
        change_name(&mut name, &mut chance);
    }
    change_case(&mut name, &mut chance);
    bytes.extend_from_slice(&name);
    bytes.extend_from_slice(&record_type(&mut chance, chaos).to_be_bytes());
    bytes.extend_from_slice(&class(&mut chance, chaos).to_be_bytes());
    if !chance.one_in(4) {
        bytes[11] = 1;
        add_opt(&mut bytes, &mut chance);
    }
    if chance.one_in(8) {
        spoil(&mut bytes, &mut chance);
    }
    Asked { bytes, tcp }
}

struct Chance(Generator);

impl Chance {
    fn one_in(&mut self, count: u32) -> bool {
        self.0.index(count).0 == 0
    }

    fn below(&mut self, len: usize) -> usize {
        self.0.index(u32::try_from(len).unwrap()).0 as usize
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = self.below(choices.len());
        &choices[index]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.0.draw() as u8).collect()
    }

    fn number(&mut self) -> u16 {
        self.0.draw() as u16
    }
}

/// Opcode QUERY without any flag, mostly.
fn flags(chance: &mut Chance) -> [u8; 2] {
    let mut flags = [0, 0];
    if chance.one_in(2) {
        flags[0] |= 1;
    }
    for bit in [4, 2] {
        flags[0] |= if chance.one_in(60) { bit } else { 0 };
    }
    for bit in [0x10, 0x20] {
        flags[1] |= if chance.one_in(6) { bit } else { 0 };
    }
    for bit in [0x80, 0x40, 3] {
        flags[1] |= if chance.one_in(80) { bit } else { 0 };
    }
    if chance.one_in(60) {
        // Neither NOTIFY (4) nor UPDATE (5): what these do is not about answers.
        flags[0] |= *chance.of(&[1, 2, 3, 6, 7, 11, 15]) << 3;
    }
    flags
}

fn record_type(chance: &mut Chance, chaos: bool) -> u16 {
    match chance.below(20) {
        _ if chaos && !chance.one_in(6) => 16,
        0 => *chance.of(&META),
        1 => chance.below(300) as u16,
        2 if chance.one_in(2) => chance.number(),
        _ => *chance.of(&TYPES),
    }
}

fn class(chance: &mut Chance, chaos: bool) -> u16 {
    match chance.below(60) {
        _ if chaos => 3,
        0 => *chance.of(&[3, 4, 254, 255, 0, 2]),
        1 if chance.one_in(3) => chance.number(),
        _ => 1,
    }
}

/// Often as it is, else one label more, another, one less, or as long as a name can be.
fn change_name(name: &mut Vec<u8>, chance: &mut Chance) {
    match chance.below(14) {
        0..=2 => prefix(name, chance),
        3 => {
            prefix(name, chance);
            prefix(name, chance);
        }
        4 => {
            drop_label(name);
            prefix(name, chance);
        }
        5 => drop_label(name),
        6 if chance.one_in(3) => {
            while name.len() < 255 {
                let room = 255 - name.len();
                let len =
                    if room == 2 || room > 64 { chance.below(room.min(64) - 1) } else { room - 1 };
                let label = if len == 0 || room - len - 1 == 1 { break } else { chance.bytes(len) };
                name.splice(0..0, std::iter::once(len as u8).chain(label));
            }
        }
        _ => {}
    }
}

fn prefix(name: &mut Vec<u8>, chance: &mut Chance) {
    const LABELS: [&[u8]; 14] = [
        b"a",
        b"b",
        b"*",
        b"www",
        b"ns1",
        b"zz",
        b"\0",
        b"-",
        b"_",
        b"a.b",
        b"\xff\xfe",
        b"~",
        b"host",
        b"9",
    ];
    let label = if chance.one_in(10) { chance.bytes(63) } else { chance.of(&LABELS).to_vec() };
    if name.len() + label.len() < 255 {
        name.splice(0..0, std::iter::once(label.len() as u8).chain(label));
    }
}

fn drop_label(name: &mut Vec<u8>) {
    if name[0] != 0 {
        name.drain(..=usize::from(name[0]));
    }
}

fn change_case(name: &mut [u8], chance: &mut Chance) {
    if chance.one_in(3) {
        for byte in name {
            // Length octets are below the letters.
            if byte.is_ascii_lowercase() && chance.one_in(2) {
                byte.make_ascii_uppercase();
            }
        }
    }
}

fn add_opt(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let mut options = Vec::new();
    if chance.one_in(2) {
        for _ in 0..1 + chance.below(3) {
            add_option(&mut options, chance);
        }
        if chance.one_in(40) {
            options.truncate(options.len().saturating_sub(1 + chance.below(3)));
        }
    }
    let extended = if chance.one_in(60) { 1 } else { 0 };
    let version = if chance.one_in(40) { *chance.of(&[1, 2, 255]) } else { 0 };
    let dnssec_ok = if chance.one_in(2) { 0x80 } else { 0 };
    let other = if chance.one_in(40) { 0x7f } else { 0 };
    let size = chance.of(&SIZES).to_be_bytes();
    bytes.extend_from_slice(&[0, 0, 41, size[0], size[1], extended, version, dnssec_ok | other, 0]);
    bytes.extend_from_slice(&(options.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&options);
}

fn add_option(options: &mut Vec<u8>, chance: &mut Chance) {
    let (code, data): (u16, Vec<u8>) = match chance.below(12) {
        0 | 1 => (3, if chance.one_in(8) { chance.bytes(3) } else { Vec::new() }),
        2..=4 => (10, cookie(chance)),
        5 | 6 => (8, subnet(chance)),
        7 => (11, if chance.one_in(3) { vec![0, 100] } else { Vec::new() }),
        8 => (12, vec![0; chance.below(40)]),
        9 => (15, vec![0, 0]),
        10 => (*chance.of(&[1, 2, 4, 5, 6, 7, 9, 13, 14, 16, 20]), Vec::new()),
        _ => (65001, chance.bytes(4)),
    };
    options.extend_from_slice(&code.to_be_bytes());
    options.extend_from_slice(&(data.len() as u16).to_be_bytes());
    options.extend_from_slice(&data);
}

fn cookie(chance: &mut Chance) -> Vec<u8> {
    let len = match chance.below(8) {
        0 => *chance.of(&[0, 1, 7, 9, 15, 41, 60]),
        1 => *chance.of(&[16, 17, 39, 40]),
        2 => 24,
        _ => 8,
    };
    chance.bytes(len)
}

fn subnet(chance: &mut Chance) -> Vec<u8> {
    match chance.below(9) {
        0 => vec![0, 1, 20, 0, 1, 2, 3],
        1 => vec![0, 1, 24, 24, 1, 2, 3],
        2 => vec![0, 1, 33, 0, 1, 2, 3, 4, 5],
        3 => vec![0, 9, 8, 0, 1],
        4 => vec![0, 1],
        5 => vec![0, 1, 0, 0],
        6 => vec![0, 2, 48, 0, 0x20, 1, 0xd, 0xb8, 0, 1],
        _ => vec![0, 1, 24, 0, 192, 0, 2],
    }
}

/// Breaks a message in one of the ways that there are.
fn spoil(bytes: &mut Vec<u8>, chance: &mut Chance) {
    match chance.below(15) {
        0 => bytes.truncate(2 + chance.below(bytes.len() - 2)),
        1 => {
            let len = 1 + chance.below(20);
            let more = chance.bytes(len);
            bytes.extend_from_slice(&more);
        }
        2 => bytes[5] = *chance.of(&[0, 2, 3, 255]),
        3 => {
            bytes.truncate(12);
            bytes[4..12].fill(0);
        }
        4 => {
            // The question once more, counted.
            let end = question_end(bytes);
            let question = bytes[12..end].to_vec();
            bytes[5] = 2;
            bytes.splice(end..end, question);
        }
        5 => {
            bytes.truncate(12);
            bytes[11] = 0;
            let to = *chance.of(&[12, 14, 0, 255]);
            bytes.extend_from_slice(&[1, b'a', 0xc0, to, 0, 1, 0, 1]);
        }
        6 => bytes[12] = *chance.of(&[0x40, 0x41, 0x80, 0xbf, 0xc0, 0xff]),
        7 => {
            let at = *chance.of(&[7, 9, 11]);
            bytes[at] = bytes[at].wrapping_add(*chance.of(&[1, 2, 255]));
        }
        8 => {
            // OPT twice, or once in another section.
            let end = question_end(bytes);
            let opt = bytes[end..].to_vec();
            if bytes[11] == 1 && chance.one_in(2) {
                bytes[11] = 2;
                bytes.extend_from_slice(&opt);
            } else {
                let section = *chance.of(&[7, 9]);
                bytes[section] = bytes[11];
                bytes[11] = 0;
            }
        }
        9 => {
            // A record that belongs to no query, in a section of its own.
            let end = question_end(bytes);
            let section = *chance.of(&[7, 9, 11]);
            let record_type = *chance.of(&[1_u8, 6, 16]);
            let record =
                [&[0xc0, 12, 0, record_type, 0, 1, 0, 0, 0, 60, 0, 4][..], &chance.bytes(4)]
                    .concat();
            bytes[section] += 1;
            bytes.splice(end..end, record);
        }
        10 => bytes[2] |= 0x80,
        11 => {
            // Only OPT, as whoever asks for a cookie may send it (RFC 7873, section 5.4).
            let end = question_end(bytes);
            bytes.drain(12..end);
            bytes[5] = 0;
        }
        _ => {
            for _ in 0..1 + chance.below(3) {
                let at = 3 + chance.below(bytes.len() - 3);
                bytes[at] ^= 1 << chance.below(8);
            }
        }
    }
}

fn question_end(bytes: &[u8]) -> usize {
    let mut at = 12;
    while bytes[at] != 0 {
        at += 1 + usize::from(bytes[at]);
    }
    at + 5
}
