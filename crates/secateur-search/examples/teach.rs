//! What new agents are to know of layers, from agents that have looked at many networks.
//!
//! `cargo run --release -p secateur-search --example teach -- OUT AGENT...` reads files of
//! `secateur prune --learn-into` (tools/agent) and writes OUT, which
//! `crates/secateur-search/src/agent/shapes/shipped.bin` is a copy of. For every agent it tells how far the
//! losses of its networks lie from what all other agents would have said of them.

use std::error::Error;
use std::path::Path;

use secateur_net::Engine;
use secateur_search::agent::{AgentState, DqnConfig, load_agent, teach};

/// Updates by each run of looks; with twice as many nothing changes.
const UPDATES: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(out), paths) = (args.next(), args.collect::<Vec<_>>()) else {
        return Err("usage: teach OUT AGENT...".into());
    };
    let engine = Engine::fused();
    let load = |path: &String| -> Result<AgentState, Box<dyn Error>> {
        let agent = load_agent(DqnConfig::default(), 0, &engine, Path::new(path))?;
        Ok(agent.state().clone())
    };
    let agents = paths.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    let (bytes, lessons) = teach(&agents, UPDATES, 0);
    println!("| agent | looks | off by, plain sum | off by, as the others know |");
    println!("|---|---|---|---|");
    for (path, lesson) in paths.iter().zip(&lessons) {
        let name = Path::new(path).file_stem().unwrap_or_default();
        let (name, looks) = (name.to_string_lossy(), lesson.looks);
        println!(
            "| {name} | {looks} | {:.3} | {:.3} |",
            lesson.plain, lesson.weighed
        );
    }
    std::fs::write(out, bytes)?;
    Ok(())
}
