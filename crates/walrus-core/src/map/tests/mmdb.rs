//! A writer of small `.mmdb` files (MaxMind DB format 2.0), so that no foreign data is needed.

use std::net::IpAddr;

/// A value of the data section.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(&'static str),
    Number16(u16),
    Number32(u32),
    Number64(u64),
    Map(Vec<(&'static str, Self)>),
    Array(Vec<Self>),
}

impl Value {
    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                control(bytes, 2, text.len());
                bytes.extend_from_slice(text.as_bytes());
            }
            Self::Number16(number) => {
                control(bytes, 5, 2);
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            Self::Number32(number) => {
                control(bytes, 6, 4);
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            Self::Number64(number) => {
                control(bytes, 9, 8);
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            Self::Map(entries) => {
                control(bytes, 7, entries.len());
                for (key, value) in entries {
                    Self::Text(key).write(bytes);
                    value.write(bytes);
                }
            }
            Self::Array(items) => {
                control(bytes, 11, items.len());
                items.iter().for_each(|item| item.write(bytes));
            }
        }
    }
}

/// A control byte (and the second one of the types above 7) for sizes below 29.
fn control(bytes: &mut Vec<u8>, kind: u8, size: usize) {
    let size = u8::try_from(size).unwrap();
    assert!(size < 29);
    if kind <= 7 {
        bytes.push(kind << 5 | size);
    } else {
        bytes.extend([size, kind - 7]);
    }
}

/// A record of a search tree under construction.
#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    Data(usize),
}

/// An IPv6 database with these networks, IPv4 ones under `::/96`.
pub(super) fn database(networks: &[(&str, Value)]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut nodes = vec![[Record::Nothing; 2]];
    for (network, value) in networks {
        let (address, length) = network.split_once('/').unwrap();
        let length: u8 = length.parse().unwrap();
        let (bits, length) = match address.parse().unwrap() {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 96 + length),
            IpAddr::V6(address) => (address.to_bits(), length),
        };
        let offset = data.len();
        value.write(&mut data);
        let mut node = 0;
        for depth in 0..length {
            let side = (bits >> (127 - depth) & 1) as usize;
            if depth + 1 == length {
                nodes[node][side] = Record::Data(offset);
                break;
            }
            node = match nodes[node][side] {
                Record::Node(next) => next,
                _ => {
                    nodes.push([Record::Nothing; 2]);
                    let next = nodes.len() - 1;
                    nodes[node][side] = Record::Node(next);
                    next
                }
            };
        }
    }
    let mut bytes = Vec::new();
    for record in nodes.iter().flatten() {
        let number = match record {
            Record::Nothing => nodes.len(),
            Record::Node(node) => *node,
            Record::Data(offset) => nodes.len() + 16 + offset,
        };
        bytes.extend_from_slice(&u32::try_from(number).unwrap().to_be_bytes()[1..]);
    }
    bytes.extend([0; 16]);
    bytes.extend_from_slice(&data);
    bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    metadata(nodes.len()).write(&mut bytes);
    bytes
}

fn metadata(nodes: usize) -> Value {
    Value::Map(vec![
        ("binary_format_major_version", Value::Number16(2)),
        ("binary_format_minor_version", Value::Number16(0)),
        ("build_epoch", Value::Number64(1)),
        ("database_type", Value::Text("Test")),
        ("description", Value::Map(vec![("en", Value::Text("test"))])),
        ("ip_version", Value::Number16(6)),
        ("languages", Value::Array(vec![Value::Text("en")])),
        ("node_count", Value::Number32(u32::try_from(nodes).unwrap())),
        ("record_size", Value::Number16(24)),
    ])
}
