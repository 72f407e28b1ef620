//! The whole of it against a name server that is made up.

mod made_up;
mod plans;
mod repairs;
mod several;
mod wanted;
