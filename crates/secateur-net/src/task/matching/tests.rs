use super::*;
use crate::task::testing::{check_gradient, output};

fn matched(name: &str, is_whole: bool) -> Matched {
    Matched {
        name: name.to_string(),
        is_whole,
        variance: None,
    }
}

#[test]
fn each_output_counts_alike_whatever_its_size() {
    let task = Match {
        outputs: vec![matched("small", false), matched("large", false)],
    };
    let original = [
        output(&[2, 1], &[1e-3, 3e-3]),
        output(&[2, 2, 1], &[1e6, 0.0, 3e6, 0.0]),
    ];
    let task = task.fitted(&original).unwrap();
    let own = task.judge(&original, Wanted::Original(&original)).unwrap();
    assert!(own.iter().all(|j| j.quality == 1.0 && j.loss == 0.0));
    // One deviation off, in one output of two.
    let other = [output(&[2, 1], &[2e-3, 3e-3]), original[1].clone()];
    let judged = task.judge(&other, Wanted::Original(&original)).unwrap();
    assert!((judged[0].quality - 0.5).abs() < 1e-6 && (judged[0].loss - 0.5).abs() < 1e-6);
    assert_eq!(judged[1].quality, 1.0);
    let nan = [output(&[2, 1], &[f32::NAN, 3e-3]), original[1].clone()];
    let judged = task.judge(&nan, Wanted::Original(&original)).unwrap();
    assert_eq!(judged[0].quality, 0.5);
    assert!(!judged[0].loss.is_finite());
    let mut gathered = task.gather().unwrap();
    let added = gathered.add(&other, Wanted::Original(&original));
    assert_eq!(
        added.unwrap(),
        task.judge(&other, Wanted::Original(&original)).unwrap()
    );
    let figures = gathered.figures();
    assert!(
        (figures[0].value - 0.5f64.sqrt()).abs() < 1e-6,
        "{figures:?}"
    );
    assert_eq!(
        (figures[1].value, figures[1].output.as_deref()),
        (0.0, Some("large"))
    );
}

#[test]
fn values_of_both_are_shown_with_their_error() {
    let mut task = Match {
        outputs: vec![matched("y", false), matched("i", true)],
    };
    task.outputs[0].variance = Some(4.0);
    let original = [
        output(&[1, 1, 2], &[1.0, 3.0]),
        output(&[1, 2], &[1.0, 2.0]),
    ];
    let result = [
        output(&[1, 1, 2], &[3.0, 1.0]),
        output(&[1, 2], &[1.0, 3.0]),
    ];
    let contrast =
        |original: &[Output], result: &[Output]| task.contrast(Pair { original, result });
    let Contrast::Values(shown) = contrast(&original, &result).unwrap() else {
        panic!("no values");
    };
    assert_eq!((shown[0].error, &shown[0].shape), (1.0, &vec![1, 2]));
    assert_eq!((shown[1].error, shown[1].is_whole), (0.5, true));
    assert_eq!(shown[0].values.result, [3.0, 1.0]);
    assert!(contrast(&original, &result[..1]).is_err());
}

#[test]
fn whole_numbers_are_compared_for_equality() {
    let task = Match {
        outputs: vec![matched("index", true)],
    };
    let judged = task.judge(
        &[output(&[1, 4], &[1.0, 2.0, 3.0, 7.0])],
        Wanted::Original(&[output(&[1, 4], &[1.0, 2.0, 3.0, 4.0])]),
    );
    assert_eq!(judged.unwrap()[0].quality, 0.75);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let task = Match {
        outputs: vec![matched("y", false)],
    };
    let y = || output(&[1, 2], &[0.0; 2]);
    let judge =
        |outputs: &[Output], wanted: &[Output]| task.judge(outputs, Wanted::Original(wanted));
    assert!(judge(&[y()], &[y()]).is_ok());
    assert!(task.judge(&[y()], Wanted::Labels(&[0])).is_err());
    assert!(judge(&[], &[y()]).is_err());
    assert!(judge(&[y(), y()], &[y()]).is_err());
    assert!(judge(&[y()], &[output(&[2, 1], &[0.0; 2])]).is_err());
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    let task = Match {
        outputs: vec![matched("y", false), matched("i", true)],
    };
    let wanted = [
        output(&[2, 3], &[0.5, -1.0, 2.0, f32::NEG_INFINITY, 0.25, -0.5]),
        output(&[2, 1], &[1.0, 2.0]),
    ];
    let given = [
        output(&[2, 3], &[0.1, 0.7, 1.0, 3.0, -0.5, 0.5]),
        output(&[2, 1], &[1.0, 3.0]),
    ];
    check_gradient(&task, &given, &wanted);
}
