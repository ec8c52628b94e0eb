//! Commands as a shell reads them.

/// Characters that no shell takes for more than themselves.
const PLAIN: &str = "-_./=,:+@%";

/// Words as one line for a shell (POSIX): those with spaces or characters of the shell's own
/// are quoted.
pub fn command_text<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let words: Vec<String> = words.into_iter().map(|w| quoted(w.as_ref())).collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || PLAIN.contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The command that makes the run of `run_dir` anew, if `line` only went on with it: by the
/// settings that the run folder keeps, in a folder of its own.
pub(super) fn anew(line: &str, run_dir: &str) -> Option<String> {
    let words = shlex::split(line).unwrap_or_default();
    if !words.iter().any(|word| word == "--resume") {
        return None;
    }
    let mut kept = Vec::new();
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        let replaced = ["--config", "--run-dir"];
        if replaced.contains(&word.as_str()) {
            rest.next();
        } else if word != "--resume"
            && !replaced
                .iter()
                .any(|r| word.strip_prefix(r).is_some_and(|w| w.starts_with('=')))
        {
            kept.push(word);
        }
    }
    let run_dir = run_dir.trim_end_matches('/');
    kept.extend(["--config".to_string(), format!("{run_dir}/config.toml")]);
    kept.extend(["--run-dir".to_string(), format!("{run_dir}-again")]);
    Some(command_text(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_read_back() {
        let check = |given: &[&str], expected: &str| {
            let line = command_text(given);
            assert_eq!(line, expected);
            assert_eq!(shlex::split(&line).unwrap(), given);
        };
        check(
            &["secateur", "a.onnx", "params=0.4,0.14"],
            "secateur a.onnx params=0.4,0.14",
        );
        check(&["my net.onnx", ""], "'my net.onnx' ''");
        check(
            &["it's", "/conv*", "$HOME", "~"],
            "'it'\\''s' '/conv*' '$HOME' '~'",
        );
        check(&["größe.onnx", "a\\b"], "größe.onnx 'a\\b'");
    }

    #[test]
    fn a_resumed_run_is_made_anew_by_its_own_settings() {
        assert_eq!(
            anew("secateur prune a.onnx --data d -o b.onnx", "b.onnx.run"),
            None
        );
        let line = "secateur prune 'a b.onnx' --data d --config run.toml -o b.onnx --resume \
                    --run-dir=r --seed 3";
        assert_eq!(
            anew(line, "r/").unwrap(),
            "secateur prune 'a b.onnx' --data d -o b.onnx --seed 3 --config r/config.toml \
             --run-dir r-again"
        );
    }
}
