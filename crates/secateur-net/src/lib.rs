//! secateur-net
