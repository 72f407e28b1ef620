//! What vantage points come to.
