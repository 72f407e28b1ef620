//! The whole of it against a name server that is made up.
