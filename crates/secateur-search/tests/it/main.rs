//! Searches from outside, in environments that know the best choice.

mod measured;
mod table;
