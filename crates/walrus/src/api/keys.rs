//! `GET /keys` and what changes keys: `POST /keys/add`, `/keys/retire`, `/keys/import`.
//!
//! Private keys never go through here: the command line puts files into the state directory, and
//! the node is told to look.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_core::dnssec::DnsKey;
use walrus_core::dnssec::rollover::{AtParent, KeyReport, Stage};
use walrus_dns::DomainName;

/// Keys of all signed zones.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct KeysView {
    /// In the order of their names.
    pub(crate) zones: Vec<ZoneKeysView>,
    /// Servers of the parent zones that are asked instead of those that the DNS names, as
    /// `ADDRESS:PORT` (`[dnssec] parent`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parent: Vec<String>,
}

/// Keys of one zone.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ZoneKeysView {
    /// The zone.
    pub(crate) zone: String,
    /// Whether this node decides about them.
    pub(crate) signer: bool,
    /// Rises whenever keys begin or cease to do something.
    pub(crate) generation: u64,
    /// In the order in which they were taken in.
    pub(crate) keys: Vec<KeyView>,
    /// When the parent was asked last, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent_seen: Option<u64>,
    /// DS records that it showed.
    pub(crate) ds_at_parent: usize,
    /// What is wrong, one sentence each.
    pub(crate) problems: Vec<String>,
}

/// One key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct KeyView {
    /// Key tag.
    pub(crate) tag: u16,
    /// 13 or 15.
    pub(crate) algorithm: u8,
    /// csk, ksk or zsk.
    pub(crate) role: String,
    /// made, signing_ahead, published, waiting_for_parent, active or retiring.
    pub(crate) stage: String,
    /// When it was made or taken in, in seconds since 1970.
    pub(crate) made: u64,
    /// Whether its private half is on this node.
    pub(crate) held: bool,
    /// What comes next, or what that waits for.
    pub(crate) next: String,
    /// When, in seconds since 1970, if time is all it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
    /// unknown, absent, some or present; absent for a ZSK.
    pub(crate) at_parent: String,
    /// Whether the parent's DS is to name it: CDS and CDNSKEY do.
    pub(crate) wanted: bool,
    /// Its DS record, of a CSK or KSK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ds: Option<String>,
    /// The data of its DNSKEY record in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public: Option<String>,
}

impl KeyView {
    /// Of the core's report.
    pub(crate) fn of(
        zone: &DomainName,
        report: &KeyReport,
        held: &impl Fn(&DnsKey) -> bool,
    ) -> Self {
        Self {
            tag: report.key.tag(),
            algorithm: report.key.algorithm().number(),
            role: report.role.to_string(),
            stage: stage(report.stage).to_owned(),
            made: report.made,
            held: held(&report.key),
            next: report.next.clone(),
            until: report.until,
            at_parent: match report.ds {
                _ if !report.role.is_entry_point() => "absent",
                AtParent::Unknown => "unknown",
                AtParent::Absent { .. } => "absent",
                AtParent::Some => "some",
                AtParent::Present { .. } => "present",
            }
            .to_owned(),
            wanted: report.is_wanted,
            ds: report.role.is_entry_point().then(|| report.key.ds_text(zone)),
            public: Some(report.key.to_hex()),
        }
    }
}

const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Made => "made",
        Stage::SigningAhead => "signing_ahead",
        Stage::Published => "published",
        Stage::WaitingForParent => "waiting_for_parent",
        Stage::Active => "active",
        Stage::Retiring => "retiring",
    }
}

/// What `POST /keys/add` takes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AddKeyRequest {
    /// The zone.
    pub(crate) zone: String,
    /// csk, ksk or zsk; by default the first that the zone has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    /// Private keys that are not here are lost for good: the zone begins anew with those that are,
    /// and new ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) lost: bool,
}

/// What `POST /keys/retire` and `POST /keys/import` take.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct KeyRequest {
    /// The zone.
    pub(crate) zone: String,
    /// The key's tag.
    pub(crate) tag: u16,
}
