//! Second-order significance: what the layers that read a kernel lose in the moment when it goes
//! and the others make up for it (`secateur_net::heal::errors_by_width`).

use secateur_net::heal::WidthErrors;

use super::{Evidence, LayerScale, Needs, Score};

/// Name of second-order significance.
pub const SECOND_ORDER: &str = "second-order";

/// Second-order significance; zeros where nothing was measured.
pub(super) struct SecondOrder;

impl Score for SecondOrder {
    fn name(&self) -> &'static str {
        SECOND_ORDER
    }

    fn about(&self) -> &'static str {
        "share of their variance that the layers behind lose with the kernel when the others make \
         up for it"
    }

    fn needs(&self) -> Needs {
        Needs::Inputs
    }

    fn layer_scale(&self) -> LayerScale {
        LayerScale::One
    }

    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>> {
        let groups = evidence.space.groups.groups.iter().enumerate();
        let of_group = |group: usize, width: usize| {
            let errors = evidence.errors.get(group);
            let known = errors.map(WidthErrors::significance);
            known
                .filter(|known| known.len() == width)
                .unwrap_or(vec![0.0; width])
        };
        groups.map(|(g, group)| of_group(g, group.width)).collect()
    }
}
