//! The four stages of a service's policy, a file each policy; the sets are closed enums.

<<<<<<< Updated upstream
pub mod assign;
=======
pub mod choose;
pub mod ttl;
>>>>>>> Stashed changes
