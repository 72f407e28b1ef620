//! Keys, signatures and refusals, against a name server of a few lines.
