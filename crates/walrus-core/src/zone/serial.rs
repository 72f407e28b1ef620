//! A zone under another serial: what is transferred has Walrus' own.

use walrus_dns::record_type;

use super::{RecordSet, SetView, Zone};

impl Zone {
    /// This zone with this serial in its SOA record, or as it is without one. The serial is in what is signed: only for
    /// zones that are not. A digest of the zone as it was goes (RFC 8976 section 4: it is of one serial).
    #[must_use]
    pub fn with_serial(&self, serial: u32) -> Self {
        let soa = self.set(self.apex(), record_type::SOA).map(SetView::to_set);
        let Some(mut soa) = soa else { return self.clone() };
        for data in &mut soa.data {
            // In front of four other numbers (RFC 1035 section 3.3.13).
            if let Some(numbers) = data.last_chunk_mut::<20>() {
                numbers[..4].copy_from_slice(&serial.to_be_bytes());
            }
        }
        let digest = RecordSet { record_type: record_type::ZONEMD, ..RecordSet::default() };
        self.with_sets([soa, digest].map(|set| (self.apex().clone(), set)))
    }
}

#[cfg(test)]
mod tests {
    use crate::zone::read_zone;

    #[test]
    fn the_digest_of_another_serial_goes() {
        let text = format!(
            "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.net.\n@ 60 ZONEMD 1 1 1 {}\n",
            "ab".repeat(48)
        );
        let zone =
            read_zone("zone", text.as_bytes(), &"example.com".parse().unwrap()).unwrap().zone;
        let other = zone.with_serial(7);
        let has_digest = |zone: &crate::zone::Zone| zone.set(zone.apex(), 63).is_some();
        assert_eq!((other.serial(), has_digest(&zone), has_digest(&other)), (7, true, false));
    }
}
