//! The number that a command printed.

/// Characters that may stand between a name and its number.
const BEFORE: [char; 2] = ['=', ':'];

/// The number in which the last line ends that is not empty: `0.53`, `mAP = 0.53`, `mAP: 53.2 %`.
/// Of an earlier line would be a guess.
pub(super) fn last_number(printed: &str) -> Result<f64, String> {
    let mut lines = printed.lines().rev().map(str::trim);
    let Some(line) = lines.find(|line| !line.is_empty()) else {
        return Err("stdout is empty".to_string());
    };
    let text = line.strip_suffix('%').unwrap_or(line).trim_end();
    let word = text.rsplit(|c: char| c.is_whitespace() || BEFORE.contains(&c));
    match word.map(str::parse::<f64>).next() {
        Some(Ok(number)) if number.is_finite() => Ok(number),
        Some(Ok(number)) => Err(format!("it printed {number}, expected a finite number")),
        _ => Err("the last line on stdout does not end in a number".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_or_ends_in_a_number() {
        for (printed, number) in [
            ("0.53", 0.53),
            ("images 300\n-1e-3\n\n  \n", -1e-3),
            ("loading\r\nmAP@0.5 = 53.2 %\r\n", 53.2),
            ("mAP:0.5", 0.5),
            ("acc=7", 7.0),
            ("val: 12 images, error 0.25", 0.25),
        ] {
            assert_eq!(last_number(printed), Ok(number), "{printed:?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (printed, reason) in [
            ("", "stdout is empty"),
            ("\n \n", "stdout is empty"),
            ("0.53\ndone", "does not end in a number"),
            ("tensor(0.53)", "does not end in a number"),
            ("0,53", "does not end in a number"),
            ("mAP nan", "printed NaN"),
            ("-inf", "printed -inf"),
            ("mAP =", "does not end in a number"),
        ] {
            let error = last_number(printed).unwrap_err();
            assert!(error.contains(reason), "{printed:?}: {error}");
        }
    }
}
