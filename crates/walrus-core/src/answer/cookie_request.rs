//! Queries without a question, for a cookie alone (RFC 7873 section 5.4).

use walrus_dns::edns::ReplyOpt;
use walrus_dns::query::{self, HEADER_LEN};
use walrus_dns::rcode;
use walrus_dns::reply::{self, Counts};

use super::request::{ClientCookie, Request};
use super::worker::WorkerState;

/// Writes a cookie, with BADCOOKIE if the query brought a server's part that was not given to this
/// client; tells the reply's length. `None`, and nothing is noted, if it is another query, or none are given.
pub(super) fn give(
    worker: &mut WorkerState,
    request: &Request<'_>,
    reply: &mut [u8],
) -> Option<usize> {
    let edns = query::parse_cookie_request(request.query)?;
    let added = request.server.added(request, Some(&edns));
    let is_bad = edns.asked.cookie?.has_server_part() && !added.cookie?.is_known;
    let code = if is_bad { rcode::BADCOOKIE } else { rcode::NOERROR };
    reply.get_mut(..HEADER_LEN)?.copy_from_slice(request.query.get(..HEADER_LEN)?);
    let opt = ReplyOpt { dnssec_ok: edns.dnssec_ok, client_subnet: None, extended_error: None };
    let len = HEADER_LEN + opt.write(code, &mut reply[HEADER_LEN..])?;
    let len = added.append(reply, len, HEADER_LEN);
    reply::write_header(reply, 0, code, 0, Counts { additional: 1, ..Counts::default() });
    worker.decision.rcode = code;
    worker.decision.edns = true;
    worker.decision.dnssec_ok = edns.dnssec_ok;
    worker.decision.cookie = ClientCookie::of(&added);
    Some(len)
}
