use super::*;
use crate::task::testing::{check_gradient, output};

fn task() -> Detect {
    Detect {
        values: ["boxes", "head"].map(str::to_string).to_vec(),
        n_outputs: 1,
        layout: Layout::Columns { classes: 2 },
        form: Form::Corners,
        variances: None,
    }
}

/// Three candidates far apart; class scores as given.
fn outputs(scores: [[f32; 3]; 2], head: [f32; 2]) -> [Output; 2] {
    let mut values = vec![10.0, 50.0, 90.0, 10.0, 10.0, 10.0];
    values.extend([8.0; 6]);
    values.extend(scores.into_iter().flatten());
    [output(&[1, 6, 3], &values), output(&[1, 2], &head)]
}

#[test]
fn boxes_are_held_against_the_originals() {
    let original = outputs([[0.9, 0.1, 0.0], [0.0, 0.8, 0.01]], [1.0, 3.0]);
    let task = task();
    let judge = |o: &[Output]| task.judge(o, Wanted::Original(&original)).unwrap()[0];
    let own = judge(&original);
    assert_eq!((own.quality, own.loss), (1.0, 0.0));
    // One box lost, one of another class, one new.
    let other = outputs([[0.9, 0.7, 0.0], [0.0, 0.3, 0.6]], [2.0, 3.0]);
    let judged = judge(&other);
    assert_eq!(judged.quality, 2.0 / 5.0);
    // The mean square of an error of 1 in one of two, over the variance 1.
    assert!((judged.loss - 0.5).abs() < 1e-9);
    let mut gathered = task.gather().unwrap();
    let added = gathered.add(&other, Wanted::Original(&original));
    assert_eq!(added.unwrap(), [judged]);
    let figures = gathered.figures();
    // Class 0: its one box first of two, precision 1; class 1: its one box is not found.
    assert_eq!(
        (figures[0].name.as_str(), figures[0].value),
        ("mAP at IoU 0.5", 0.5)
    );
    assert_eq!(figures[2].value, 2.0);
    let nan = [
        output(&[1, 6, 3], &[f32::NAN; 18]),
        output(&[1, 2], &[f32::NAN; 2]),
    ];
    let judged = judge(&nan);
    assert_eq!(judged.quality, 0.0);
    assert!(!judged.loss.is_finite());
}

#[test]
fn boxes_that_both_find_are_told_from_those_of_one() {
    let original = outputs([[0.9, 0.1, 0.0], [0.0, 0.8, 0.01]], [1.0, 3.0]);
    let result = outputs([[0.9, 0.7, 0.0], [0.0, 0.3, 0.6]], [2.0, 3.0]);
    let contrast =
        |original: &[Output], result: &[Output]| task().contrast(Pair { original, result });
    let Contrast::Boxes(shown) = contrast(&original, &result).unwrap() else {
        panic!("no boxes");
    };
    let brief = |boxes: &[ShownBox]| -> Vec<(u32, f32, bool)> {
        boxes
            .iter()
            .map(|b| (b.class, b.score, b.is_matched))
            .collect()
    };
    assert_eq!(brief(&shown.original), [(0, 0.9, true), (1, 0.8, false)]);
    assert_eq!(
        brief(&shown.result),
        [(0, 0.9, true), (0, 0.7, false), (1, 0.6, false)]
    );
    assert!(contrast(&original, &result[..1]).is_err());
}

#[test]
fn what_does_not_fit_is_an_error_and_gradients_reach_the_heads() {
    let original = outputs([[0.9, 0.1, 0.0], [0.0, 0.8, 0.01]], [1.0, 3.0]);
    let task = task();
    let judge = |o: &[Output]| task.judge(o, Wanted::Original(&original));
    assert!(judge(&original[..1]).is_err());
    assert!(judge(&[output(&[1, 5, 3], &[0.0; 15]), original[1].clone()]).is_err());
    assert!(judge(&[output(&[2, 6, 3], &[0.0; 36]), original[1].clone()]).is_err());
    assert!(judge(&[original[0].clone(), output(&[1, 3], &[0.0; 3])]).is_err());
    assert!(task.judge(&original, Wanted::Labels(&[0])).is_err());
    let given = [original[0].clone(), output(&[1, 2], &[0.5, 2.0])];
    check_gradient(&task, &given, &original);
}
