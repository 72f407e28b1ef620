//! The whole of it against a name server that is made up.

mod made_up;
mod many_names;
mod plans;
mod repairs;
mod several;
mod wanted;
