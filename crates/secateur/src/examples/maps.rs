//! Maps of both networks as pictures that lie over the input.

use secateur_net::task::{Pair, Place, ShownMap};

use super::DrawnMap;
use super::names::Names;
use super::picture::{NO_NUMBER, Overlay};
use super::pictures::Pictures;

/// Maps that are drawn of a sample.
pub(super) const MOST_MAPS: usize = 3;
/// How much maps cover of what they lie over.
const OPACITY: u8 = 150;
/// Colours of classes, which also people with a weakness for some tell apart; masks have the first.
///
/// Source: Okabe and Ito, Color Universal Design, 2008.
const COLOURS: [[u8; 3]; 7] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [240, 228, 66],
    [86, 180, 233],
    [204, 121, 167],
    [230, 159, 0],
];
/// Places of the palette before the colours.
const CLEAR: u8 = 0;
const WITHOUT_NUMBER: u8 = 1;
const FIRST: u8 = 2;
/// Colours of the difference: where nothing differs the input is dark, so that both stand out.
const ALIKE: [u8; 4] = [0, 0, 0, 130];
/// Where the original alone has something.
const LOST: [u8; 4] = [255, 255, 255, 255];
/// Where the result has something, or something else.
const NEW: [u8; 4] = [255, 122, 26, 255];

/// Draws a map.
///
/// # Errors
/// Why a picture cannot be made.
pub(super) fn drawn(map: &ShownMap, names: &Names, to: &mut Pictures) -> Result<DrawnMap, String> {
    let [depth, height, width] = map.extents;
    let layer = most_differing(map);
    let positions = layer * height * width..(layer + 1) * height * width;
    let places = map.places.map(|places| &places[positions.clone()]);
    let overlay = |palette: &[[u8; 4]], places: Vec<u8>| Overlay {
        width,
        height,
        places,
        palette: palette.to_vec(),
    };
    let colours = palette();
    let of = |places: &[Place]| {
        let colour = |&place: &Place| colour(place, map.is_mask);
        overlay(&colours, places.iter().map(colour).collect())
    };
    let pairs = places.original.iter().zip(places.result);
    let differing = pairs.map(|(a, b)| differing(*a, *b)).collect();
    let difference = overlay(&[ALIKE, NO_NUMBER, LOST, NEW], differing);
    let all = map.places.original.iter().zip(&map.places.result);
    let same = all
        .filter(|(a, b)| a == b && **a != Place::NoNumber)
        .count();
    Ok(DrawnMap {
        name: map.name.clone(),
        is_mask: map.is_mask,
        layer: (depth > 1).then_some([layer, depth]),
        agreement: same as f64 / map.places.original.len().max(1) as f64,
        mean_iou: map.mean_iou,
        legend: legend(places, map.is_mask, names),
        original: to.overlay("original", &of(places.original))?,
        result: to.overlay("result", &of(places.result))?,
        difference: to.overlay("difference", &difference)?,
    })
}

/// The layer of a volume in which most positions differ, the first of equal ones.
fn most_differing(map: &ShownMap) -> usize {
    let [depth, height, width] = map.extents;
    let differing = |layer: usize| {
        let range = layer * height * width..(layer + 1) * height * width;
        let places = map.places.map(|places| &places[range.clone()]);
        let pairs = places.original.iter().zip(places.result);
        pairs.filter(|(a, b)| a != b).count()
    };
    let layers = (0..depth).max_by_key(|&layer| (differing(layer), std::cmp::Reverse(layer)));
    layers.unwrap_or(0)
}

fn palette() -> Vec<[u8; 4]> {
    let colours = COLOURS.map(|[r, g, b]| [r, g, b, OPACITY]);
    [&[[0; 4], NO_NUMBER][..], &colours[..]].concat()
}

/// The colour of what a map holds: class 0 of several is mostly background and left clear.
fn colour(place: Place, is_mask: bool) -> u8 {
    match place {
        Place::Background => CLEAR,
        Place::NoNumber => WITHOUT_NUMBER,
        Place::Class(_) if is_mask => FIRST,
        Place::Class(0) => CLEAR,
        Place::Class(class) => FIRST + ((class - 1) % COLOURS.len() as u32) as u8,
    }
}

/// The colour of the difference.
fn differing(original: Place, result: Place) -> u8 {
    match (original, result) {
        (_, Place::NoNumber) => WITHOUT_NUMBER,
        (a, b) if a == b => CLEAR,
        (_, Place::Background | Place::Class(0)) if !is_empty(original) => FIRST,
        _ => FIRST + 1,
    }
}

fn is_empty(place: Place) -> bool {
    matches!(place, Place::Background)
}

/// The classes that occur, with their colours.
fn legend(places: Pair<&[Place]>, is_mask: bool, names: &Names) -> Vec<(String, String)> {
    let all = places.original.iter().chain(places.result);
    let classes = all.filter_map(|place| match place {
        Place::Class(class) => Some(*class),
        Place::Background | Place::NoNumber => None,
    });
    let classes: std::collections::BTreeSet<u32> = classes.collect();
    let entry = |class: u32| {
        let index = usize::from(colour(Place::Class(class), is_mask));
        let name = match is_mask {
            true => "mask".to_string(),
            false => names.class(class),
        };
        let css = match index.checked_sub(usize::from(FIRST)) {
            Some(at) => css(COLOURS[at]),
            None => "transparent".to_string(),
        };
        (name, css)
    };
    classes.into_iter().map(entry).collect()
}

/// As style sheets have colours.
fn css([r, g, b]: [u8; 3]) -> String {
    format!("rgb({r} {g} {b})")
}

#[cfg(test)]
mod tests {
    use super::super::picture::tests::decoded;
    use super::*;

    fn shown(is_mask: bool, extents: [usize; 3], places: [Vec<Place>; 2]) -> ShownMap {
        let [original, result] = places;
        ShownMap {
            name: "map".to_string(),
            is_mask,
            extents,
            places: Pair { original, result },
            mean_iou: 0.5,
        }
    }

    #[test]
    fn masks_show_what_was_lost_and_what_is_new() {
        use Place::{Background, Class, NoNumber};
        let map = shown(
            true,
            [1, 1, 4],
            [
                vec![Class(0), Class(0), Background, Background],
                vec![Class(0), Background, Class(0), NoNumber],
            ],
        );
        let drawn = drawn(&map, &Names::default(), &mut Pictures::new(0, 64)).unwrap();
        assert_eq!((drawn.agreement, drawn.layer), (0.25, None));
        let blue = [0, 114, 178, 150];
        let pixels = |picture: &super::super::Picture| decoded(&picture.png).1;
        assert_eq!(
            pixels(&drawn.original),
            [blue, blue, [0; 4], [0; 4]].concat()
        );
        assert_eq!(
            pixels(&drawn.result),
            [blue, [0; 4], blue, NO_NUMBER].concat()
        );
        let expected = [ALIKE, LOST, NEW, NO_NUMBER].concat();
        assert_eq!(pixels(&drawn.difference), expected);
        let legend = [("mask".to_string(), "rgb(0 114 178)".to_string())];
        assert_eq!(drawn.legend, legend);
    }

    #[test]
    fn of_volumes_the_layer_that_differs_most_is_drawn() {
        let of = |classes: [u32; 6]| classes.map(Place::Class).to_vec();
        let map = shown(
            false,
            [3, 1, 2],
            [of([0, 1, 1, 1, 2, 9]), of([0, 1, 2, 0, 2, 0])],
        );
        let drawn = drawn(&map, &Names::default(), &mut Pictures::new(0, 64)).unwrap();
        assert_eq!(drawn.layer, Some([1, 3]));
        assert_eq!(drawn.agreement, 0.5);
        let names: Vec<&str> = drawn.legend.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["0", "1", "2"]);
        assert_eq!(drawn.legend[0].1, "transparent");
        assert_eq!(decoded(&drawn.difference.png).1, [NEW, LOST].concat());
    }
}
