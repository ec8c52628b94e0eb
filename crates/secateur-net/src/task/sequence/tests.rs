use super::*;
use crate::task::testing::{check_gradient, output};

fn task(blank: Option<u32>) -> Sequence {
    Sequence {
        scores: "scores".to_string(),
        classes: 3,
        blank,
    }
}

/// Scores whose best classes are these.
fn path<const T: usize>(path: [usize; T]) -> Output {
    let rows = path.map(|best| [0, 1, 2].map(|c| f32::from(u8::from(c == best)) * 3.0));
    output(&[1, T, 3], rows.as_flattened())
}

#[test]
fn steps_where_something_is_said_count() {
    let original = [path([0, 1, 1, 0, 2, 0, 0, 0])];
    let fitted = task(None).fitted(&original).unwrap();
    let judge = |o: Output| {
        let judged = fitted.judge(&[o], Wanted::Original(&original)).unwrap()[0];
        let mut gathered = fitted.gather().unwrap();
        let added = gathered.add(&[path([0; 8])], Wanted::Original(&original));
        assert_eq!(added.unwrap()[0].quality, 0.0);
        assert_eq!(gathered.figures()[0].value, 0.0);
        judged
    };
    let own = judge(original[0].clone());
    assert!(own.quality == 1.0 && own.loss.abs() < 1e-9);
    // A network that says nothing agrees at five of eight steps.
    assert_eq!(judge(path([0; 8])).quality, 0.0);
    assert_eq!(judge(path([0, 1, 0, 0, 2, 2, 0, 0])).quality, 0.5);
    let nan = output(&[1, 8, 3], &[f32::NAN; 24]);
    assert_eq!(judge(nan).quality, 0.0);
    // Every step counts where no class stands for nothing.
    let plain = task(None).judge(&[path([0; 8])], Wanted::Original(&original));
    assert_eq!(plain.unwrap()[0].quality, 5.0 / 8.0);
}

#[test]
fn texts_are_what_remains_of_paths() {
    let check = |blank: u32, given: [usize; 6], wanted: [usize; 6], same: f64| {
        let task = task(Some(blank));
        let contrast = task.contrast(Pair {
            original: &[path(wanted)],
            result: &[path(given)],
        });
        let Contrast::Texts { texts, .. } = contrast.unwrap() else {
            panic!("no texts");
        };
        assert_eq!(texts.original == texts.result, same == 1.0);
        let mut gathered = task.gather().unwrap();
        gathered
            .add(&[path(given)], Wanted::Original(&[path(wanted)]))
            .unwrap();
        assert_eq!(gathered.figures()[0].value, same, "{given:?}, {wanted:?}");
    };
    check(0, [0, 1, 1, 0, 2, 2], [1, 0, 0, 2, 0, 0], 1.0);
    check(0, [1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0], 0.0);
    check(2, [2, 1, 1, 2, 0, 0], [1, 2, 2, 2, 2, 0], 1.0);
    check(2, [2, 1, 1, 2, 0, 0], [0, 1, 2, 2, 2, 0], 0.0);
}

#[test]
fn the_blank_is_seen_from_the_original() {
    let check = |path_of: [usize; 5], expected: Option<&str>| {
        let got = task(None).fitted(&[path(path_of)]);
        assert_eq!(got.map(|t| format!("{t:?}")).as_deref(), expected);
    };
    let is = |blank: u32| format!("{:?}", task(Some(blank)));
    check([0, 0, 1, 0, 2], Some(&is(0)));
    check([2, 2, 1, 0, 2], Some(&is(2)));
    check([1, 1, 1, 0, 2], None);
}

#[test]
fn gradients_are_those_of_finite_differences_and_misfits_are_errors() {
    let task = task(Some(0));
    let wanted = [output(&[1, 2, 3], &[0.5, -1.0, 2.0, 0.3, 1.5, 0.0])];
    let given = [output(&[1, 2, 3], &[0.1, 0.7, 1.0, -0.2, 0.4, -0.9])];
    check_gradient(&task, &given, &wanted);
    let judge = |o: &[Output]| task.judge(o, Wanted::Original(&wanted));
    assert!(judge(&given).is_ok());
    assert!(judge(&[]).is_err());
    assert!(judge(&[output(&[1, 3, 2], &[0.0; 6])]).is_err());
    assert!(task.judge(&given, Wanted::Labels(&[0])).is_err());
}
