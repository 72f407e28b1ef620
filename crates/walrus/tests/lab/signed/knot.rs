//! Knot, which signs its zones itself: a root, a parent, or children of the zone under test.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::validators::{Reply, ask, query};
use crate::programs::{Process, free_port, wait_for};
use crate::questions::ask_udp;

/// A running one, with one key for each zone; it shows at once which DS it wants.
pub(super) struct Knot {
    pub(super) address: SocketAddr,
    folder: PathBuf,
    process: Process,
    serial: u32,
}

impl Knot {
    /// Zones, their records but for the SOA, and whether they are signed.
    pub(super) fn start(program: &Path, folder: &Path, zones: &[(&str, &str, bool)]) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self::start_at(SocketAddr::new(ip, free_port(&[ip])), program, folder, zones)
    }

    /// The same, where it must be found. The root's name is `.`.
    pub(super) fn start_at(
        address: SocketAddr,
        program: &Path,
        folder: &Path,
        zones: &[(&str, &str, bool)],
    ) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let (ip, place, port) = (address.ip(), folder.display(), address.port());
        let mut text = format!(
            "server:\n  rundir: \"{place}\"\n  listen: {ip}@{port}\n  udp-workers: 1\n  \
             tcp-workers: 1\n  background-workers: 1\ndatabase:\n  storage: \"{place}\"\n\
             log:\n  - target: stderr\n    any: warning\n\
             policy:\n  - id: lab\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n    \
             cds-cdnskey-publish: always\n    dnskey-ttl: 1\n    zone-max-ttl: 1\nzone:\n"
        );
        for (zone, _, is_signed) in zones {
            let sign = if *is_signed { "on" } else { "off" };
            text.push_str(&format!(
                "  - domain: {zone}\n    file: \"{place}/zone.{zone}\"\n    zonefile-sync: -1\n    \
                 zonefile-load: whole\n    journal-content: none\n    dnssec-signing: {sign}\n    \
                 dnssec-policy: lab\n"
            ));
        }
        let file = folder.join("knot.conf");
        std::fs::write(&file, text).unwrap();
        for (zone, records, _) in zones {
            write_zone(folder, address.ip(), zone, 1000, records);
        }
        let arguments = ["-c", file.to_str().unwrap()];
        let mut process = Process::start(program, &arguments, &folder.join("log"));
        for (zone, _, is_signed) in zones {
            let record_type = if *is_signed { "CDS" } else { "SOA" };
            wait_for(&format!("knot with {zone}"), || {
                process.assert_running();
                let reply = Reply::read(&ask_udp(address, &query(zone, record_type))?);
                (!reply.data(record_type).is_empty()).then_some(())
            });
        }
        Self { address, folder: folder.to_owned(), process, serial: 1000 }
    }

    /// The DS data that a zone wants at its parent.
    pub(super) fn wanted_ds(&self, zone: &str) -> BTreeSet<String> {
        ask(self.address, zone, "CDS").data("CDS")
    }

    /// Other records for a zone from now on; returns when those of a name and type are `shown`.
    pub(super) fn change(
        &mut self,
        zone: &str,
        records: &str,
        (name, record_type): (&str, &str),
        shown: &BTreeSet<String>,
    ) {
        // Beyond what it made of the last one while it signed.
        self.serial += 1000;
        write_zone(&self.folder, self.address.ip(), zone, self.serial, records);
        self.process.signal("-HUP");
        let wanted = upper(shown);
        wait_for(&format!("{zone} with {wanted:?}"), || {
            (upper(&ask(self.address, name, record_type).data(record_type)) == wanted).then_some(())
        });
    }
}

/// Digests are written with large or small letters.
fn upper(data: &BTreeSet<String>) -> BTreeSet<String> {
    data.iter().map(|data| data.to_uppercase()).collect()
}

fn write_zone(folder: &Path, ip: IpAddr, zone: &str, serial: u32, records: &str) {
    let origin = if zone == "." { String::new() } else { zone.to_owned() };
    let text = format!(
        "$ORIGIN {origin}.\n$TTL 1\n@ SOA ns hostmaster {serial} 7200 3600 1209600 1\n@ NS ns\n\
         ns A {ip}\n{records}"
    );
    let [writing, file] = [".writing.", "zone."].map(|start| folder.join(format!("{start}{zone}")));
    std::fs::write(&writing, text).unwrap();
    std::fs::rename(writing, file).unwrap();
}
