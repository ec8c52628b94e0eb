//! secateur-search
