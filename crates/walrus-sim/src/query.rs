//! A scenario's question as the bytes of a query, written by the `domain` crate.

use domain::base::iana::Rtype;
use domain::base::opt::subnet::ClientSubnet;
use domain::base::{MessageBuilder, Name};

use crate::system::{Question, SystemError};

/// The query, with EDNS; the ID is always the same.
///
/// # Errors
/// If the name or type is none.
pub fn query_bytes(question: &Question) -> Result<Vec<u8>, SystemError> {
    let bad = |what: &str| SystemError(format!("`{what}` makes no query"));
    let name: Name<Vec<u8>> =
        Name::vec_from_str(&question.name).map_err(|_| bad(&question.name))?;
    let record_type: Rtype =
        question.record_type.parse().map_err(|_| bad(&question.record_type))?;
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(0x5757);
    builder.push((name, record_type)).map_err(|_| bad(&question.name))?;
    let mut builder = builder.additional();
    builder
        .opt(|opt| {
            opt.set_udp_payload_size(1232);
            match question.subnet {
                Some((address, bits)) => opt.push(&ClientSubnet::new(bits, 0, address)),
                None => Ok(()),
            }
        })
        .map_err(|_| bad("the client subnet"))?;
    Ok(builder.finish())
}
