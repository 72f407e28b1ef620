//! A zone under another serial: what is transferred has Walrus' own.

use walrus_dns::record_type;

use super::{SetView, Zone};

impl Zone {
    /// This zone with this serial in its SOA record, or as it is without one. The serial is in what is signed: only for
    /// zones that are not.
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
        self.with_sets([(self.apex().clone(), soa)])
    }
}
