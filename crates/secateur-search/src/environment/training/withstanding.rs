//! How far chance changes the images of a recovery: as far as the given network goes along.
//!
//! A change that leaves what an image shows as it is hardly moves a trained network, one that makes
//! another thing of it does: a mirrored photograph is a photograph, a mirrored 2 is no digit. So the
//! given network tells which changes its data allow, and how much of them a network that is to learn
//! what it knows can use.

use secateur_net::NetError;
use secateur_net::data::{Augment, BatchJob, Part};
use secateur_net::task::{Against, Wanted};

use super::Problem;
use crate::config::TrainingConfig;

/// Images of the search part that are changed.
const IMAGES: usize = 1024;
/// Images of a pass.
const OF_A_PASS: usize = 128;
/// Share of its quality that the given network may lose on changed images.
const LOST: f64 = 0.01;

/// Largest shifts that are tried, as share of the shorter side: 1, 2 and 4 of 28 to 32 pixels.
const SHIFTS: [f32; 3] = [0.034, 0.068, 0.136];
/// Largest rotations that are tried, degrees.
const ROTATIONS: [f32; 3] = [5.0, 10.0, 15.0];
/// Largest changes of the size that are tried.
const ZOOMS: [f32; 3] = [0.05, 0.1, 0.15];

/// Largest shift, pixels, where the given network is not asked, and what is begun with where it is: on
/// all data tried it paid.
pub(super) const USUAL_SHIFT: usize = 1;

/// What chance changes in the images of a recovery: what the settings say, and where they say
/// nothing as much as the given network withstands; and the sample-MACs that finding it took.
///
/// It is asked about labelled images only. How often it decides otherwise on a changed image says
/// little: flips move one decision in ten of a network that is as good on flipped images.
///
/// # Errors
/// As an inference pass.
pub(super) fn of_recovery(
    problem: &Problem,
    training: &TrainingConfig,
    seed: u64,
) -> Result<(Augment, f64), NetError> {
    let is_asked = problem.task.against() == Against::Labels
        && !problem.task.moves_with_inputs()
        && problem.train.is_images();
    if !is_asked || training.sets_recover_augment() {
        return Ok((training.recover_augment(USUAL_SHIFT), 0.0));
    }
    let trial = Trial {
        problem,
        part: problem.search.part.spread(IMAGES),
        seed,
    };
    let mut looks = 0;
    let mut quality = |augment| {
        looks += 1;
        trial.quality(augment)
    };
    let least = quality(Augment::default())? * (1.0 - LOST);
    let [h, w, _] = problem.train.shape();
    let steps = steps(training, h.min(w));
    let start = training.recover_augment(USUAL_SHIFT);
    let chosen = climb(start, steps, |augment| Ok(quality(augment)? >= least))?;
    let cost = looks as f64 * trial.part.len() as f64 * problem.space.size.macs as f64;
    Ok((chosen, cost))
}

/// A change of one kind that is put in place of a weaker one.
type Raise = Box<dyn Fn(&mut Augment)>;

/// The changes of each kind that settings leave open, the weakest first.
fn steps(training: &TrainingConfig, side: usize) -> Vec<Vec<Raise>> {
    let mut kinds: Vec<Vec<Raise>> = Vec::new();
    if training.flip.is_none() {
        kinds.push(vec![Box::new(|augment| augment.flip = true)]);
    }
    if training.recover_max_shift.is_none() {
        let pixels = SHIFTS.map(|share| (share * side as f32).round() as usize);
        let pixels = pixels.into_iter().filter(|&pixels| pixels > USUAL_SHIFT);
        kinds.push(raises(pixels, |augment, pixels| augment.max_shift = pixels));
    }
    if training.recover_max_rotation.is_none() {
        kinds.push(raises(ROTATIONS, |augment, degrees| {
            augment.max_rotation = degrees;
        }));
    }
    if training.recover_max_zoom.is_none() {
        kinds.push(raises(ZOOMS, |augment, share| augment.max_zoom = share));
    }
    kinds
}

fn raises<T: Copy + 'static>(
    levels: impl IntoIterator<Item = T>,
    set: fn(&mut Augment, T),
) -> Vec<Raise> {
    let raise = |level| Box::new(move |augment: &mut Augment| set(augment, level)) as Raise;
    levels.into_iter().map(raise).collect()
}

/// Raises one kind after the other by a step, as long as all of them together are withstood. A kind
/// that is refused a step is left where it is.
fn climb(
    start: Augment,
    mut kinds: Vec<Vec<Raise>>,
    mut withstands: impl FnMut(Augment) -> Result<bool, NetError>,
) -> Result<Augment, NetError> {
    let mut chosen = start;
    for level in 0.. {
        kinds.retain(|steps| steps.len() > level);
        if kinds.is_empty() {
            break;
        }
        let mut climbing = Vec::new();
        for steps in kinds {
            let mut raised = chosen;
            steps[level](&mut raised);
            if withstands(raised)? {
                chosen = raised;
                climbing.push(steps);
            }
        }
        kinds = climbing;
    }
    Ok(chosen)
}

/// The given network on changed images.
struct Trial<'a> {
    problem: &'a Problem,
    part: Part,
    seed: u64,
}

impl Trial<'_> {
    /// Its mean quality; the same chance changes the images in every look.
    fn quality(&self, augment: Augment) -> Result<f64, NetError> {
        let indices: Vec<usize> = (0..self.part.len()).collect();
        let mut sum = 0.0;
        for (pass, indices) in indices.chunks(OF_A_PASS).enumerate() {
            let batch = self.part.batch(&BatchJob {
                indices: indices.to_vec(),
                augment,
                seed: self.seed.wrapping_add(pass as u64),
            })?;
            let outputs = self.problem.original.outputs(batch.inputs)?;
            let wanted = Wanted::Labels(&batch.labels);
            let judged = self.problem.task.judge(&outputs, wanted)?;
            sum += judged.iter().map(|j| f64::from(j.quality)).sum::<f64>();
        }
        Ok(sum / indices.len().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;
    use crate::search::reactivation_tests::{config, problem, trained};

    /// What is taken up of all kinds where a network withstands what `withstands` says.
    fn taken(training: &TrainingConfig, withstands: fn(Augment) -> bool) -> (Augment, usize) {
        let mut looks = 0;
        let start = training.recover_augment(USUAL_SHIFT);
        let chosen = climb(start, steps(training, 28), |augment| {
            looks += 1;
            Ok(withstands(augment))
        });
        (chosen.unwrap(), looks)
    }

    fn the_usual() -> Augment {
        Augment {
            max_shift: USUAL_SHIFT,
            ..Augment::default()
        }
    }

    #[test]
    fn each_kind_is_raised_as_far_as_all_together_are_withstood() {
        let open = TrainingConfig::default();
        let (all, looks) = taken(&open, |_| true);
        let strongest = Augment {
            max_shift: 4,
            max_rotation: 15.0,
            max_zoom: 0.15,
            flip: true,
        };
        assert_eq!((all, looks), (strongest, 9));
        let (none, looks) = taken(&open, |_| false);
        assert_eq!((none, looks), (the_usual(), 4));
        // Digits: no flip, and shifts and turns only up to a point together.
        let (some, _) = taken(&open, |a| {
            !a.flip && a.max_shift as f32 + a.max_rotation / 10.0 <= 2.5
        });
        let expected = Augment {
            max_shift: 2,
            max_rotation: 5.0,
            max_zoom: 0.15,
            flip: false,
        };
        assert_eq!(some, expected);
    }

    #[test]
    fn what_the_settings_say_stays() {
        let training = TrainingConfig {
            recover_max_shift: Some(3),
            flip: Some(false),
            recover_max_rotation: Some(0.0),
            ..TrainingConfig::default()
        };
        let (found, looks) = taken(&training, |_| true);
        let expected = Augment {
            max_shift: 3,
            max_zoom: 0.15,
            ..Augment::default()
        };
        assert_eq!((found, looks), (expected, 3));
        assert!(!training.sets_recover_augment());
        let all = TrainingConfig {
            recover_max_zoom: Some(0.1),
            ..training
        };
        assert!(all.sets_recover_augment());
    }

    /// What a digit is, its mirror image mostly is not; a shifted one is.
    #[test]
    fn digits_are_shifted_but_not_mirrored() {
        let config = config(Mode::Aec { max_drop: 0.0 });
        let problem = problem(trained(), &config);
        let (chosen, cost) = of_recovery(&problem, &config.training, 1).unwrap();
        assert!(!chosen.flip && chosen.max_shift >= USUAL_SHIFT, "{chosen}");
        let a_look = IMAGES.min(problem.search.part.len()) as f64 * problem.space.size.macs as f64;
        let looks = cost / a_look;
        assert!((3.0..=11.0).contains(&looks), "{looks}");

        let mirrored = TrainingConfig {
            flip: Some(true),
            ..config.training
        };
        let (chosen, _) = of_recovery(&problem, &mirrored, 1).unwrap();
        let asked = Augment {
            flip: true,
            ..the_usual()
        };
        assert_eq!(
            chosen, asked,
            "what breaks the digits already leaves no room"
        );
    }
}
