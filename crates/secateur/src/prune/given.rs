//! What the given network has to give where it is held against itself.

use secateur_net::Output;
use secateur_net::task::Against;
use secateur_search::environment::training::Problem;

use super::PruneError;

/// Held-out samples that are looked at.
const LOOKED_AT: usize = 8;

/// Fails if the given network of a problem, whose outputs say what is right, gives none.
pub(super) fn check_original(problem: &Problem) -> Result<(), PruneError> {
    if problem.task.against() == Against::Labels {
        return Ok(());
    }
    let outputs = problem
        .original
        .predict(&problem.search.part.head(LOOKED_AT))?;
    check_outputs(&problem.task.outputs(), &outputs)
}

/// Fails if an output of some samples holds no finite value: nothing can be held against it.
pub(crate) fn check_outputs(names: &[&str], outputs: &[Output]) -> Result<(), PruneError> {
    let is_void = |output: &Output| {
        !output.values.is_empty() && !output.values.iter().any(|value| value.is_finite())
    };
    match names
        .iter()
        .zip(outputs)
        .find(|(_, output)| is_void(output))
    {
        None => Ok(()),
        Some((name, output)) => Err(PruneError::NoFiniteValue {
            output: (*name).to_string(),
            samples: output.n(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_without_any_finite_value_is_named() {
        let output = |values: &[f32]| Output {
            shape: vec![2, values.len() / 2],
            values: values.to_vec(),
        };
        let (sound, masked) = (output(&[1.0, 2.0]), output(&[f32::INFINITY, 2.0]));
        assert!(check_outputs(&["a", "b"], &[sound.clone(), masked]).is_ok());
        assert!(check_outputs(&["a"], &[output(&[])]).is_ok());
        let void = output(&[f32::NAN, f32::NEG_INFINITY]);
        let error = check_outputs(&["a", "b"], &[sound, void]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("output `b`") && text.contains("2 samples"),
            "{text}"
        );
    }
}
