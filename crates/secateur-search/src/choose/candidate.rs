//! Kernels in the order of their scores.

/// One kernel and its score.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub group: usize,
    pub kernel: usize,
    pub score: f32,
}

/// The kernels that `take` accepts, the lowest score first.
pub(super) fn candidates(
    scores: &[Vec<f32>],
    mut take: impl FnMut(usize, usize) -> bool,
) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (group, scores) in scores.iter().enumerate() {
        for (kernel, &score) in scores.iter().enumerate() {
            if take(group, kernel) {
                found.push(Candidate {
                    group,
                    kernel,
                    score,
                });
            }
        }
    }
    // Ties go by position, so that the order never depends on the sort.
    found.sort_by(|a, b| {
        a.score
            .total_cmp(&b.score)
            .then((a.group, a.kernel).cmp(&(b.group, b.kernel)))
    });
    found
}
