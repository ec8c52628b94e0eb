//! Which array of the data serves which input of a network, and along which axis of the input its
//! samples are put together.
//!
//! The first axis of an array counts samples. The first axis of the network's first input does
//! too; of another input it is the axis of the same name, or of the same fixed extent where the
//! file was exported for one batch. An input without such an axis takes one value for all samples, or, as
//! every input of a network that takes one sample at a time, the values of the samples one after the other.

use secateur_onnx::model::{Dim, ValueInfo};

use super::arrays::{Column, Element};
use crate::interpreter::batch_axis;

/// An array: its name and extents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'a> {
    pub(super) name: &'a str,
    pub(super) extents: &'a [usize],
}

/// How an array serves an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    /// Its place among the arrays.
    pub(super) array: usize,
    pub(super) column: Column,
    /// True if the array holds one value that every sample gets.
    pub(super) is_shared: bool,
    /// True if each sample fills the whole input: the network takes one at a time.
    pub(super) is_stacked: bool,
}

/// The place of the array for an input: of that name, or the only one for the only input.
pub(super) fn find(input: &ValueInfo, n_inputs: usize, arrays: &[Shape<'_>]) -> Option<usize> {
    let named = |same: &dyn Fn(&str) -> bool| arrays.iter().position(|array| same(array.name));
    named(&|name| name == input.name)
        .or_else(|| named(&|name| plain(name) == plain(&input.name)))
        .or((n_inputs == 1 && arrays.len() == 1).then_some(0))
}

/// Names of inputs may hold what names of files cannot: `input:0`, `/enc/x`.
fn plain(name: &str) -> String {
    let simple = |c: char| if c.is_alphanumeric() { c } else { '_' };
    name.to_lowercase().chars().map(simple).collect()
}

/// How an array serves an input of a network whose first input is `first`, for `n` samples.
///
/// # Errors
/// What the input takes, and what the array holds.
pub(super) fn fit(
    input: &ValueInfo,
    first: &ValueInfo,
    n: usize,
    place: usize,
    array: Shape<'_>,
) -> Result<Match, [String; 2]> {
    let wrong = || [expected(input, first), format!("{:?}", array.extents)];
    let Some(element) = Element::of(input) else {
        let got = "an input of texts or of no stated type";
        return Err(["numbers or truth values".to_string(), got.to_string()]);
    };
    let matched = |shape: Vec<usize>, batch_axis, is_shared| Match {
        array: place,
        column: Column {
            input: input.name.clone(),
            shape,
            batch_axis,
            element,
        },
        is_shared,
        is_stacked: false,
    };
    // Every sample fills the whole input.
    let stacked = || match array.extents {
        [samples, sample @ ..] if *samples == n && takes(&input.shape, sample) => {
            let is_stacked = true;
            let matched = matched(sample.to_vec(), Some(0), false);
            Some(Match {
                is_stacked,
                ..matched
            })
        }
        _ => None,
    };
    if !input.has_shape {
        let shape = array.extents.get(1..).unwrap_or_default();
        return Ok(matched(shape.to_vec(), Some(0), false));
    }
    let Some(axis) = batch_axis(input, first) else {
        // A single number may be stored with an axis of its own.
        let values: usize = array.extents.iter().product();
        let shape = match input.shape.len() {
            0 if values == 1 => Vec::new(),
            _ => array.extents.to_vec(),
        };
        return match takes(&input.shape, &shape) {
            true => Ok(matched(shape, None, true)),
            false => stacked().ok_or_else(wrong),
        };
    };
    let mut rest = input.shape.clone();
    rest.remove(axis);
    let (samples, sample) = match array.extents {
        [samples, sample @ ..] => (*samples, sample),
        [] => return Err(wrong()),
    };
    let mut whole = array.extents.to_vec();
    let mut inner = sample.to_vec();
    if samples == n && takes(&rest, sample) {
        return Ok(matched(sample.to_vec(), Some(axis), false));
    }
    // Samples with a batch axis of their own.
    if samples == n && inner.get(axis) == Some(&1) {
        inner.remove(axis);
        if takes(&rest, &inner) {
            return Ok(matched(inner, Some(axis), false));
        }
    }
    // One sample's value for all.
    if whole.get(axis) == Some(&1) {
        whole.remove(axis);
        if takes(&rest, &whole) {
            return Ok(matched(whole, Some(axis), true));
        }
    }
    stacked().ok_or_else(wrong)
}

/// Does an input of these extents take a value of those?
fn takes(dims: &[Dim], extents: &[usize]) -> bool {
    let fits = |(dim, &extent): (&Dim, &usize)| dim.fixed().is_none_or(|fixed| fixed == extent);
    dims.len() == extents.len() && dims.iter().zip(extents).all(fits)
}

/// What an array for an input may look like.
fn expected(input: &ValueInfo, first: &ValueInfo) -> String {
    let listed = |dims: &[Dim]| {
        let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
        dims.join(", ")
    };
    let Some(axis) = batch_axis(input, first) else {
        return format!("one value [{}] for all samples", listed(&input.shape));
    };
    let mut sample = input.shape.clone();
    sample.remove(axis);
    let sample = match listed(&sample) {
        dims if dims.is_empty() => String::new(),
        dims => format!(", {dims}"),
    };
    format!(
        "[samples{sample}] for the network's input [{}]",
        listed(&input.shape)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, dims: &[&str]) -> ValueInfo {
        let dim = |text: &&str| match (text.parse(), *text) {
            (Ok(size), _) => Dim::Fixed(size),
            (_, "?") => Dim::Unknown,
            (_, name) => Dim::Named(name.to_string()),
        };
        ValueInfo {
            name: name.to_string(),
            shape: dims.iter().map(dim).collect(),
            elem_type: 1,
            has_shape: true,
        }
    }

    /// Shape of a sample, batch axis, shared or not; of a second input after `first`, 7 samples.
    fn fitted(
        first: &[&str],
        dims: &[&str],
        extents: &[usize],
    ) -> Option<(Vec<usize>, Option<usize>, bool)> {
        let array = Shape { name: "b", extents };
        let found = fit(&input("b", dims), &input("a", first), 7, 0, array).ok()?;
        Some((found.column.shape, found.column.batch_axis, found.is_shared))
    }

    #[test]
    fn samples_lie_along_the_axis_that_the_first_input_names() {
        let check = |first: &[&str], dims: &[&str], extents: &[usize], expected| {
            assert_eq!(
                fitted(first, dims, extents),
                expected,
                "{first:?} {dims:?} {extents:?}"
            );
        };
        // The state of a recurrent network, with and without its batch axis, and one for all.
        for state in [["2", "n", "4"], ["2", "?", "4"], ["2", "1", "4"]] {
            let first = [state[1], "9"];
            check(
                &first,
                &state,
                &[7, 2, 4],
                Some((vec![2, 4], Some(1), false)),
            );
            check(
                &first,
                &state,
                &[7, 2, 1, 4],
                Some((vec![2, 4], Some(1), false)),
            );
            check(
                &first,
                &state,
                &[2, 1, 4],
                Some((vec![2, 4], Some(1), true)),
            );
            check(&first, &state, &[6, 2, 4], None);
            check(&first, &state, &[7, 3, 4], None);
        }
        check(&["n", "9"], &["n"], &[7], Some((vec![], Some(0), false)));
        check(&["n", "9"], &[], &[], Some((vec![], None, true)));
        check(&["n", "9"], &[], &[1], Some((vec![], None, true)));
        check(&["n", "9"], &[], &[7], Some((vec![], Some(0), false)));
        check(&["n", "9"], &[], &[6], None);
        check(
            &["t", "9"],
            &["t", "9"],
            &[7, 20, 9],
            Some((vec![20, 9], Some(0), false)),
        );
        check(&["n", "9"], &["3"], &[3], Some((vec![3], None, true)));
        check(
            &["u1", "9"],
            &["u2", "5"],
            &[7, 5],
            Some((vec![5], Some(0), false)),
        );
        check(
            &["n", "9"],
            &["n", "t"],
            &[7, 5],
            Some((vec![5], Some(0), false)),
        );
    }

    #[test]
    fn arrays_are_found_by_the_names_of_inputs() {
        let shapes = |names: &[&'static str]| -> Vec<Shape<'_>> {
            let one = |&name| Shape { name, extents: &[] };
            names.iter().map(one).collect()
        };
        let check = |name: &str, n_inputs, names: &[&'static str], expected| {
            assert_eq!(
                find(&input(name, &[]), n_inputs, &shapes(names)),
                expected,
                "{name}"
            );
        };
        check("input", 2, &["state", "input"], Some(1));
        check("serving:0", 2, &["other", "serving_0"], Some(1));
        check("X", 2, &["x", "X"], Some(1));
        check("input", 1, &["whatever"], Some(0));
        check("input", 2, &["whatever"], None);
        check("input", 1, &["one", "two"], None);
    }
}
