//! Data as people have them: every layout, and everything that can be wrong with it.

mod arrays;
mod cifar;
mod folder;
mod inputs;
mod loading;
mod make;
mod make_shards;
mod own;
mod shards;
mod unlabelled;

use std::path::Path;

use secateur_net::data::{DataConfig, DataError, Source, open};

fn opened(dir: &Path) -> Source {
    open(dir, &DataConfig::default()).unwrap()
}

/// Expects an error with all of `needles` in its text, and a hint.
fn refused<T>(result: Result<T, DataError>, needles: &[&str]) -> DataError {
    let Err(error) = result else {
        panic!("expected an error with {needles:?}");
    };
    let text = error.to_string();
    for needle in needles {
        assert!(text.contains(needle), "`{needle}` is not in: {text}");
    }
    assert!(text.starts_with("cannot "), "{text}");
    error
}
