//! What both networks give for a sample, with names, and drawn where it can be.

use secateur_net::task::{ClassShare, Contrast, ShownBox};

use super::names::Names;
use super::pictures::Pictures;
use super::{NamedBox, NamedShare, Said, maps, values};

/// Outputs of other kinds that are shown of a sample.
const MOST_OUTPUTS: usize = 6;
/// Boxes whose corners all lie below this are shares of the image and no pixels.
const RELATIVE: f32 = 2.0;

/// `size` is width and height of the image, where the network takes one.
///
/// # Errors
/// Why a picture cannot be made.
pub(super) fn said(
    contrast: &Contrast,
    names: &Names,
    size: Option<[usize; 2]>,
    to: &mut Pictures,
) -> Result<Said, String> {
    Ok(match contrast {
        Contrast::Classes(classes) => {
            let classes = classes.map(|shares| shares.iter().map(|s| share(s, names)).collect());
            let (original, result) = (classes.original, classes.result);
            Said::Classes { original, result }
        }
        Contrast::Boxes(boxes) => {
            let all = boxes.original.iter().chain(&boxes.result);
            let is_relative = all.flat_map(|b| b.corners).all(|corner| corner < RELATIVE);
            let [width, height] = size.filter(|_| is_relative).unwrap_or([1; 2]);
            let scale = [width, height, width, height].map(|extent| extent as f32);
            let named = boxes.map(|boxes| boxes.iter().map(|b| named(b, names, scale)).collect());
            let (original, result) = (named.original, named.result);
            Said::Boxes { original, result }
        }
        Contrast::Maps(maps) => {
            let mut worst: Vec<_> = maps.iter().collect();
            worst.sort_by(|a, b| a.mean_iou.total_cmp(&b.mean_iou));
            let worst = worst.into_iter().take(maps::MOST_MAPS);
            let maps = worst.map(|map| maps::drawn(map, names, to));
            Said::Maps {
                maps: maps.collect::<Result<_, _>>()?,
            }
        }
        Contrast::Texts {
            texts,
            classes,
            blank,
        } => {
            let texts = texts.map(|text| names.text(text, *classes, *blank));
            let (original, result) = (texts.original, texts.result);
            Said::Texts { original, result }
        }
        Contrast::Values(outputs) => {
            let mut worst: Vec<_> = outputs.iter().collect();
            worst.sort_by(|a, b| b.error.total_cmp(&a.error));
            let worst = worst.into_iter().take(MOST_OUTPUTS);
            Said::Values {
                outputs: worst
                    .map(|output| values::drawn(output, to))
                    .collect::<Result<_, _>>()?,
            }
        }
    })
}

fn share(share: &ClassShare, names: &Names) -> NamedShare {
    NamedShare {
        class: names.class(share.class),
        share: share.share.is_finite().then_some(share.share),
    }
}

fn named(shown: &ShownBox, names: &Names, scale: [f32; 4]) -> NamedBox {
    NamedBox {
        class: names.class(shown.class),
        score: shown.score,
        corners: std::array::from_fn(|i| shown.corners[i] * scale[i]),
        is_matched: shown.is_matched,
    }
}

#[cfg(test)]
mod tests {
    use secateur_net::task::Pair;

    use super::*;

    fn boxes(corners: [f32; 4]) -> [f32; 4] {
        let shown = ShownBox {
            class: 0,
            score: 0.5,
            corners,
            is_matched: false,
        };
        let contrast = Contrast::Boxes(Pair {
            original: Vec::new(),
            result: vec![shown],
        });
        let mut pictures = Pictures::new(0, 64);
        match said(
            &contrast,
            &Names::default(),
            Some([200, 100]),
            &mut pictures,
        ) {
            Ok(Said::Boxes { result, .. }) => result[0].corners,
            other => panic!("no boxes: {other:?}"),
        }
    }

    #[test]
    fn boxes_in_shares_of_the_image_become_pixels() {
        assert_eq!(boxes([0.0, 0.5, 1.0, 1.1]), [0.0, 50.0, 200.0, 110.0]);
        assert_eq!(boxes([0.0, 0.5, 10.0, 1.1]), [0.0, 0.5, 10.0, 1.1]);
    }

    #[test]
    fn what_is_no_number_has_no_share() {
        let shares = [0.7, f64::NAN].map(|share| ClassShare { class: 3, share });
        let contrast = Contrast::Classes(Pair {
            original: vec![shares[0]],
            result: vec![shares[1]],
        });
        let said = said(
            &contrast,
            &Names::default(),
            None,
            &mut Pictures::new(0, 64),
        );
        let json = serde_json::to_string(&said.unwrap()).unwrap();
        assert_eq!(
            json,
            r#"{"kind":"classes","original":[{"class":"3","share":0.7}],"result":[{"class":"3","share":null}]}"#
        );
    }
}
