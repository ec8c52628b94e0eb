//! What ONNX Runtime's profile says of a file's nodes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::undisturbed;

/// Beginning of the operators that change the order in memory.
const REORDERS: &str = "Reorder";

/// One event; those of other kinds have other fields.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    name: String,
    /// Microseconds.
    #[serde(default)]
    dur: f64,
    #[serde(default)]
    args: serde_json::Map<String, serde_json::Value>,
}

/// Nanoseconds that the nodes of a file take together in an undisturbed run, without changes of the
/// order in memory.
///
/// # Errors
/// If the text is no such profile.
pub(super) fn layers_time(profile: &[u8]) -> Result<f64, String> {
    let events: Vec<Event> = serde_json::from_slice(profile)
        .map_err(|error| format!("its profile cannot be read: {error}"))?;
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for event in events {
        let operator = event.args.get("op_name").and_then(|name| name.as_str());
        let is_run = event.cat == "Node" && event.name.ends_with("_kernel_time");
        if is_run && operator.is_some_and(|name| !name.starts_with(REORDERS)) {
            times.entry(event.name).or_default().push(1e3 * event.dur);
        }
    }
    match times.is_empty() {
        true => Err("its profile names no node".to_string()),
        false => Ok(times.into_values().map(undisturbed).sum()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_count_without_reorders() {
        let node = |name: &str, operator: &str, dur: u32| {
            format!(
                r#"{{"cat":"Node","name":"{name}_kernel_time","dur":{dur},"args":{{"op_name":"{operator}"}}}}"#
            )
        };
        let profile = [
            r#"{"cat":"Session","name":"model_run","dur":99,"args":{}}"#.to_string(),
            node("in", "ReorderInput", 5),
            node("conv", "Conv", 7),
            node("conv", "Conv", 70),
            node("pool", "MaxPool", 3),
        ];
        let text = format!("[{}]", profile.join(","));
        assert_eq!(layers_time(text.as_bytes()), Ok(10_000.0));
        assert!(layers_time(b"[]").is_err() && layers_time(b"{").is_err());
    }
}
