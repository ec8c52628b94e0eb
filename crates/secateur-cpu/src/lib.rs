//! secateur-cpu
