//! What agents are to know at the start, from looks that others have taken at many networks.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::factors::Factors;
use super::memory::Memory;
use super::{AgentState, Shapes};

/// What was learnt from the looks of all agents but one says of that one's networks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lesson {
    /// Its looks.
    pub looks: usize,
    /// Standard deviation of the logarithms of the losses about the line through the plain sums of
    /// layers' errors.
    pub plain: f64,
    /// About the line through the sums that are weighed by what the others taught.
    pub weighed: f64,
}

/// Learns from the looks of several agents alike, by so many updates: what a new agent begins with,
/// as bytes, and for each agent what the others would have known of its networks.
pub fn teach(agents: &[AgentState], updates: usize, seed: u64) -> (Vec<u8>, Vec<Lesson>) {
    let memory_without = |left_out: Option<usize>| {
        let kept = agents.iter().enumerate();
        let kept = kept.filter(|(at, _)| Some(*at) != left_out);
        Memory::merged(kept.map(|(_, agent)| agent.shapes.memory.clone()))
    };
    let lessons = agents.iter().enumerate().map(|(at, agent)| {
        let others = learnt(&memory_without(Some(at)), updates, seed);
        lesson(&agent.shapes.memory, &others, seed)
    });
    let lessons = lessons.collect();
    let memory = memory_without(None);
    let factors = learnt(&memory, updates, seed);
    (Shapes { factors, memory }.write(), lessons)
}

/// Factors after so many updates, the runs taking turns.
fn learnt(memory: &Memory, updates: usize, seed: u64) -> Factors {
    let mut factors = Factors::new(&mut ChaCha8Rng::seed_from_u64(seed));
    let runs: Vec<_> = memory.runs().collect();
    for looks in runs.into_iter().cycle().take(updates) {
        factors.learn(looks);
    }
    factors
}

/// How well the looks of a memory are foretold with all factors at 1 and with these.
fn lesson(memory: &Memory, factors: &Factors, seed: u64) -> Lesson {
    let plain = Factors::new(&mut ChaCha8Rng::seed_from_u64(seed));
    let deviation = |factors: &Factors| {
        let sums = memory.runs().map(|looks| {
            let n = looks.shapes.len() as f64;
            (n * factors.clone().learn(looks), n)
        });
        let (squares, n) = sums.fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
        (squares / f64::max(n, 1.0)).sqrt()
    };
    Lesson {
        looks: memory.len(),
        plain: deviation(&plain),
        weighed: deviation(factors),
    }
}
