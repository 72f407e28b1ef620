//! Problem: share answers evenly without knowing anything about servers or clients.
//!
//! Rule: each worker goes round each ring in turn; a ring has its own position, so that areas that
//! are asked for in a rhythm do not lock each other onto one server.
//!
//! Source: RFC 1794, DNS support for load balancing.
//!
//! When it is wrong: with servers of different size (weights are ignored), and with few resolvers
//! that stand for very different numbers of clients (Colajanni, Yu, Dias 1998).
//!
//! Example: servers a, b, c and position 1: answers begin with b, c, a, b, ...

/// The present position, which moves on by one.
#[inline]
pub(super) const fn choose(len: u32, position: &mut u32) -> u32 {
    // A position from another ring may lie beyond this one's end.
    let index = if *position < len { *position } else { *position % len };
    *position = if index + 1 == len { 0 } else { index + 1 };
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_round_from_any_position() {
        let mut position = 4;
        let chosen: Vec<u32> = (0..5).map(|_| choose(3, &mut position)).collect();
        assert_eq!(chosen, [1, 2, 0, 1, 2]);
        let mut position = u32::MAX;
        assert_eq!(choose(1, &mut position), 0);
        assert_eq!(choose(1, &mut position), 0);
    }
}
