//! Which instructions the routines use.
//!
//! One binary holds every level; the best one that the machine has is chosen at
//! run time. The environment variable `SECATEUR_ISA` (`portable`, `avx2`,
//! `avx512`) forces a level.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;

/// A level of SIMD instructions, from slow to fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Vectors of 4: SSE2 on x86-64, NEON on AArch64, plain Rust elsewhere.
    Portable,
    /// AVX2 with FMA, vectors of 8.
    Avx2,
    /// AVX-512 F, VL and DQ, vectors of 16.
    Avx512,
}

impl Isa {
    /// Floats in a vector.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Portable => 4,
            Isa::Avx2 => 8,
            Isa::Avx512 => 16,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "portable" => Some(Isa::Portable),
            "avx2" => Some(Isa::Avx2),
            "avx512" => Some(Isa::Avx512),
            _ => None,
        }
    }

    fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => false,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        })
    }
}

/// The levels of this machine, slowest first.
pub fn available() -> Vec<Isa> {
    [Isa::Portable, Isa::Avx2, Isa::Avx512]
        .into_iter()
        .filter(|isa| isa.is_available())
        .collect()
}

fn chosen() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let best = available().pop().unwrap_or(Isa::Portable);
        let Ok(name) = std::env::var("SECATEUR_ISA") else {
            return best;
        };
        let reason = match Isa::parse(&name) {
            Some(isa) if isa.is_available() => return isa,
            Some(_) => "this machine lacks it",
            None => "expected portable, avx2 or avx512",
        };
        tracing::warn!("cannot use SECATEUR_ISA={name}: {reason}; using {best}");
        best
    })
}

thread_local! {
    static FORCED: Cell<Option<Isa>> = const { Cell::new(None) };
}

/// The level that routines called from this thread use.
pub fn active() -> Isa {
    FORCED.get().unwrap_or_else(chosen)
}

/// Calls `body` with `isa` as the level of routines called from this thread.
///
/// Made for tests and measurements that compare levels. Returns `None`, without a
/// call, if the machine lacks the level.
#[doc(hidden)]
pub fn with<T>(isa: Isa, body: impl FnOnce() -> T) -> Option<T> {
    struct Restore(Option<Isa>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    if !isa.is_available() {
        return None;
    }
    let _restore = Restore(FORCED.replace(Some(isa)));
    Some(body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
            assert_eq!(Isa::parse(&isa.to_string()), Some(isa));
        }
        assert_eq!(Isa::parse("sse9"), None);
    }

    #[test]
    fn a_forced_level_lasts_for_the_call_only() {
        let before = active();
        for isa in available() {
            assert_eq!(with(isa, active), Some(isa));
            assert_eq!(active(), before);
        }
        assert_eq!(available()[0], Isa::Portable);
    }
}
