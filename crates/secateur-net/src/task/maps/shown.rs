//! Maps for people.

use super::counted::{Best, WRONG};
use super::told::{Kind, Map};
use crate::task::contrast::{Pair, Place, ShownMap};
use crate::value::Output;

impl Map {
    /// The maps of an output for one sample: one of classes, or each channel's mask.
    pub fn shown(
        &self,
        outputs: Pair<&Output>,
        [channels, positions]: [usize; 2],
    ) -> Vec<ShownMap> {
        let extents = volume(outputs.original.shape.get(2..).unwrap_or_default());
        let shown = |name: String, places: Pair<Vec<Place>>, at: usize, channels: usize| {
            let range = at * positions..(at + channels) * positions;
            let values = outputs.map(|output| &output.values[range.clone()]);
            let counts = self.counted(values.result, values.original, [channels, positions]);
            ShownMap {
                name,
                is_mask: self.kind == Kind::Masks,
                extents,
                places,
                mean_iou: counts.mean_iou(),
            }
        };
        match self.kind {
            Kind::Classes => {
                let places = outputs.map(|output| classes(&output.values, channels, positions));
                vec![shown(self.scores.clone(), places, 0, channels)]
            }
            Kind::Masks => (0..channels)
                .map(|channel| {
                    let range = channel * positions..(channel + 1) * positions;
                    let places = outputs.map(|output| mask(&output.values[range.clone()]));
                    let name = match channels {
                        1 => self.scores.clone(),
                        _ => format!("{}, channel {channel}", self.scores),
                    };
                    shown(name, places, channel, 1)
                })
                .collect(),
        }
    }
}

/// Depth, height and width of the positions of a map.
fn volume(shape: &[usize]) -> [usize; 3] {
    match *shape {
        [.., depth, height, width] => [depth, height, width],
        [height, width] => [1, height, width],
        [width] => [1, 1, width],
        [] => [1; 3],
    }
}

fn classes(scores: &[f32], channels: usize, positions: usize) -> Vec<Place> {
    let best = Best::of(scores, channels, positions);
    let place = |class: u32| match class {
        // Not a number, or all scores minus infinity: no class is the best.
        class if class >= WRONG => Place::NoNumber,
        class => Place::Class(class),
    };
    best.class.into_iter().map(place).collect()
}

fn mask(scores: &[f32]) -> Vec<Place> {
    let place = |&score: &f32| match score {
        _ if score.is_nan() => Place::NoNumber,
        _ if score > 0.0 => Place::Class(0),
        _ => Place::Background,
    };
    scores.iter().map(place).collect()
}
