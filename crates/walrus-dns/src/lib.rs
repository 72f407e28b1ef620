//! DNS bytes: names, queries, EDNS and replies, without allocation on the answer path.
//!
//! What does not need speed (zone files, TSIG, signing) is left to the `domain` crate; what is
//! here is the wire format that every query passes through.

mod added_options;
mod cookie;
pub mod edns;
pub mod https_query;
mod name;
mod proxy_header;
pub mod query;
pub mod rcode;
pub mod record_type;
pub mod reply;

pub use added_options::AddedOptions;
pub use cookie::{Cookie, CookieSecret, CookieSecrets, GivenCookie};
pub use edns::{Asked, ClientSubnet, Edns};
pub use https_query::{HttpsQuery, HttpsQueryError, HttpsRequest};
pub use name::{DomainName, DomainNameError, compare_canonically, split_label};
pub use proxy_header::{ProxiedAddresses, ProxyHeader, ProxyHeaderError};
pub use query::{Query, Refusal};
