//! Exit codes; `secateur --help` lists them.

/// Everything went well.
pub const SUCCESS: u8 = 0;
/// Something could not be done; stderr says what and why.
pub const ERROR: u8 = 1;
/// The arguments are not of the command's form (clap's own code).
pub const USAGE: u8 = 2;
/// `verify`: the pruned file does not hold what it promises.
pub const NOT_VERIFIED: u8 = 3;
/// Stopped by Ctrl-C; the run is saved and can be resumed.
pub const INTERRUPTED: u8 = 130;
