//! `GET /zone`: a zone as it is served, as a zone file.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use walrus_core::answer::AnswerTable;
use walrus_core::dnssec::unsigned;
use walrus_core::zone::write_zone;
use walrus_dns::DomainName;

/// The longest text: it is put together in memory, beside what answers.
pub(crate) const TEXT_BYTES_MAX: usize = 256 << 20;

/// What is asked for.
#[derive(Clone, Debug, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ZoneQuery {
    /// The zone's apex.
    pub(crate) name: String,
    /// Without signatures, chain and keys.
    #[serde(default)]
    pub(crate) unsigned: bool,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZoneTextError {
    /// The name is none.
    #[error("`{0}` is no domain name")]
    Name(String),
    /// Not one of the zones.
    #[error(
        "there is no zone {0} here (`zone` and `[[zone]]` of the configuration name them), or it is not \
         signed yet (`walrus status` says why)"
    )]
    NoZone(DomainName),
    /// Longer than [`TEXT_BYTES_MAX`].
    #[error(
        "the zone has more than {} MiB of text, too much for one answer: dump it from the files \
         (walrus zone dump NAME --config CONFIG)",
        TEXT_BYTES_MAX >> 20
    )]
    Long,
}

impl ZoneQuery {
    /// The zone of a name server's table.
    pub(crate) fn text(&self, table: &AnswerTable) -> Result<String, ZoneTextError> {
        let name = || ZoneTextError::Name(self.name.clone());
        let apex: DomainName = self.name.parse().map_err(|_| name())?;
        let mut zone =
            table.served_zone(&apex).ok_or_else(|| ZoneTextError::NoZone(apex.clone()))?;
        if self.unsigned {
            zone = unsigned(&zone);
        }
        let mut text = Bounded(String::new());
        write_zone(&zone, &mut text).map_err(|fmt::Error| ZoneTextError::Long)?;
        Ok(text.0)
    }
}

/// Takes no more than [`TEXT_BYTES_MAX`].
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > TEXT_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}
