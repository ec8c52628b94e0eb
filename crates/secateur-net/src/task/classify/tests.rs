use super::*;
use crate::task::testing::output;
use crate::task::{Distillation, TeacherWeight};

const TASK: Classify = Classify {
    output: String::new(),
    n_classes: 3,
    against: Against::Labels,
};

#[test]
fn the_largest_score_is_the_answer_and_the_loss_is_cross_entropy() {
    let scores = [1.0, 2.0, 0.0, 5.0, 5.0, 0.0, f32::NAN, 0.0, 1.0];
    let judged = TASK.judge(&[output(&[3, 3], &scores)], Wanted::Labels(&[1, 1, 0]));
    let judged = judged.unwrap();
    // The first of equal scores wins; NaN is no answer.
    let quality: Vec<f32> = judged.iter().map(|j| j.quality).collect();
    assert_eq!(quality, [1.0, 0.0, 0.0]);
    let expected = (1f64.exp() + 2f64.exp() + 1.0).ln() - 2.0;
    assert!((judged[0].loss - expected).abs() < 1e-12);
}

#[test]
fn the_likeliest_classes_of_both_are_shown() {
    let of = |values: [f32; 3]| [output(&[1, 3], &values)];
    let (original, result) = (of([0.0, 2.0, 1.0]), of([f32::NAN, 2.0, 1.0]));
    let contrast =
        |original: &[Output], result: &[Output]| TASK.contrast(Pair { original, result });
    let Contrast::Classes(shown) = contrast(&original, &result).unwrap() else {
        panic!("no classes");
    };
    let classes: Vec<u32> = shown.original.iter().map(|s| s.class).collect();
    assert_eq!(classes, [1, 2, 0]);
    let sum: f64 = shown.original.iter().map(|s| s.share).sum();
    assert!((sum - 1.0).abs() < 1e-12);
    assert!(shown.result.iter().all(|s| s.share.is_nan()));
    assert!(contrast(&original, &[]).is_err());
    assert!(contrast(&original, &[output(&[2, 3], &[0.0; 6])]).is_err());
}

#[test]
fn outputs_labels_and_teachers_that_do_not_fit_are_errors() {
    let judge = |shape: &[usize], values: &[f32], labels: &[u32]| {
        TASK.judge(&[output(shape, values)], Wanted::Labels(labels))
    };
    assert!(judge(&[1, 3], &[0.0; 3], &[2]).is_ok());
    assert!(judge(&[1, 3, 1, 1], &[0.0; 3], &[2]).is_ok());
    assert!(judge(&[1, 3], &[0.0; 3], &[3]).is_err());
    assert!(judge(&[1, 2], &[0.0; 2], &[1]).is_err());
    assert!(judge(&[3, 1], &[0.0; 3], &[1]).is_err());
    assert!(TASK.judge(&[], Wanted::Labels(&[1])).is_err());
    assert!(TASK.judge(&[], Wanted::Original(&[])).is_err());
    let engine = Engine::fused();
    let scores = Tensor::<2>::zeros([1, 3], engine.device());
    let loss = |labels: &[u32], teacher: Vec<Output>| {
        let targets = Targets {
            teacher: Some(Distillation {
                outputs: teacher,
                weight: TeacherWeight {
                    share: 0.5,
                    temperature: 2.0,
                },
            }),
            ..Targets::labels(labels)
        };
        TASK.loss(&engine, &[Dense::from_tensor(scores.clone())], &targets)
    };
    assert!(loss(&[0], vec![output(&[1, 3], &[0.0; 3])]).is_ok());
    assert!(loss(&[3], vec![output(&[1, 3], &[0.0; 3])]).is_err());
    assert!(loss(&[0], vec![output(&[2, 3], &[0.0; 6])]).is_err());
    assert!(loss(&[0], Vec::new()).is_err());
}

#[test]
fn without_labels_quality_is_agreement_and_the_original_loses_nothing() {
    let task = Classify {
        against: Against::Original,
        ..TASK
    };
    let original = output(&[2, 3], &[1.0, 3.0, 0.0, 5.0, 0.0, 4.0]);
    let other = output(&[2, 3], &[1.0, 2.0, 0.0, 4.0, 0.0, 5.0]);
    let judge = |output: &Output| {
        let (given, wanted) = ([output.clone()], [original.clone()]);
        task.judge(&given, Wanted::Original(&wanted)).unwrap()
    };
    let own = judge(&original);
    assert!(own.iter().all(|j| j.quality == 1.0 && j.loss.abs() < 1e-12));
    let judged = judge(&other);
    assert_eq!(judged[0].quality, 1.0);
    assert_eq!((judged[1].quality, judged[1].class), (0.0, Some(0)));
    // What is no number agrees with nothing, itself included.
    let nothing = output(&[2, 3], &[f32::NAN; 6]);
    let judged_nothing = task.judge(
        std::slice::from_ref(&nothing),
        Wanted::Original(std::slice::from_ref(&nothing)),
    );
    let judged_nothing = judged_nothing.unwrap();
    assert!(
        judged_nothing
            .iter()
            .all(|j| j.quality == 0.0 && j.loss.is_nan())
    );
    // p · ln(p / q) of the shares of both by hand.
    let shares = |z: [f64; 3]| {
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        z.map(|z| z.exp() / sum)
    };
    let pairs = shares([1.0, 3.0, 0.0])
        .into_iter()
        .zip(shares([1.0, 2.0, 0.0]));
    let expected: f64 = pairs.map(|(p, q)| p * (p / q).ln()).sum();
    assert!((judged[0].loss - expected).abs() < 1e-9);
    assert!(
        task.judge(std::slice::from_ref(&original), Wanted::Labels(&[1, 0]))
            .is_err()
    );
}
