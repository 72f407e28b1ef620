//! Client prefix to area: explicit prefix beats country beats continent, the longest in a kind.
