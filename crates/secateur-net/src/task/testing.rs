//! What the tests of tasks share.

use burn::tensor::{Tensor, TensorData};

use super::{Distillation, Targets, Task, TeacherWeight};
use crate::engine::Engine;
use crate::value::{Dense, Output};

pub(crate) fn output(shape: &[usize], values: &[f32]) -> Output {
    Output {
        shape: shape.to_vec(),
        values: values.to_vec(),
    }
}

fn targets(wanted: &[Output]) -> Targets<'static> {
    Targets {
        teacher: Some(Distillation {
            outputs: wanted.to_vec(),
            weight: TeacherWeight {
                share: 1.0,
                temperature: 1.0,
            },
        }),
        ..Targets::default()
    }
}

/// Loss, and the gradients of the outputs.
fn run(
    task: &dyn Task,
    given: &[Output],
    wanted: &[Output],
    engine: &Engine,
) -> (f32, Vec<Vec<f32>>) {
    let device = engine.training_device();
    let leaves: Vec<Tensor<1>> = given
        .iter()
        .map(|o| {
            let data = TensorData::new(o.values.clone(), [o.values.len()]);
            Tensor::<1>::from_data(data, &device).require_grad()
        })
        .collect();
    let outputs: Vec<Dense> = leaves
        .iter()
        .zip(given)
        .map(|(leaf, o)| Dense::from_tensor(leaf.clone()).reshape(&o.shape))
        .collect();
    let loss = task.loss(engine, &outputs, &targets(wanted)).unwrap();
    let gradients = loss.clone().backward();
    let gradients = leaves.iter().zip(given).map(|(leaf, o)| {
        leaf.grad(&gradients).map_or_else(
            || vec![0.0; o.values.len()],
            |g| g.into_data().iter().collect(),
        )
    });
    let gradients = gradients.collect();
    (loss.into_scalar(), gradients)
}

/// Gradients of the loss against finite differences, fused and stock alike.
pub(super) fn check_gradient(task: &dyn Task, given: &[Output], wanted: &[Output]) {
    const STEP: f32 = 1e-2;
    let (loss, gradients) = run(task, given, wanted, &Engine::fused());
    let (stock, stock_gradients) = run(task, given, wanted, &Engine::stock());
    assert!(
        (loss - stock).abs() <= 1e-5 * stock.abs(),
        "{loss}, {stock}"
    );
    let mut any = false;
    for (at, gradient) in gradients.iter().enumerate() {
        for (i, &g) in gradient.iter().enumerate() {
            let moved = |by: f32| {
                let mut given = given.to_vec();
                given[at].values[i] += by;
                f64::from(run(task, &given, wanted, &Engine::fused()).0)
            };
            let numeric = (moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP);
            let g64 = f64::from(g);
            assert!(
                (numeric - g64).abs() < 2e-3 + 2e-2 * g64.abs(),
                "{at}, {i}: {g}, {numeric}"
            );
            assert!((g - stock_gradients[at][i]).abs() < 1e-5 + 1e-4 * g.abs());
            any |= g != 0.0;
        }
    }
    assert!(any, "no output has a gradient");
}
