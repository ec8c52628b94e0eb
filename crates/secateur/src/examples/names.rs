//! What classes are called: by the data, or by what the file carries.

use secateur_net::data::metadata;
use secateur_onnx::model::Model;

/// Names of classes, where something says them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    classes: Vec<String>,
    /// The characters of a text network, in the order of its classes.
    characters: Vec<String>,
}

impl Names {
    /// By the data, else by the metadata of the file: ours, those of Ultralytics (`names`, a
    /// Python dictionary), those of PaddleOCR (`character`, a line each).
    pub fn of(model: &Model, by_data: &[String]) -> Self {
        let own = model.metadata(metadata::CLASSES);
        let own = own.and_then(|json| serde_json::from_str(json).ok());
        let characters = model.metadata("character").map(lines).unwrap_or_default();
        let classes = [
            Some(by_data.to_vec()),
            own,
            model.metadata("names").and_then(dictionary),
            Some(characters.clone()),
        ];
        let mut known = classes
            .into_iter()
            .flatten()
            .filter(|names| !names.is_empty());
        Self {
            classes: known.next().unwrap_or_default(),
            characters,
        }
    }

    /// The name of a class, or its number.
    pub fn class(&self, class: u32) -> String {
        let name = self.classes.get(class as usize);
        name.cloned().unwrap_or_else(|| class.to_string())
    }

    /// What classes spell, of `n_classes` of which `blank` stands for nothing: characters where
    /// the file has them, else numbers.
    pub fn text(&self, classes: &[Option<u32>], n_classes: usize, blank: Option<u32>) -> String {
        let Some(table) = self.table(n_classes, blank) else {
            let number = |class: &Option<u32>| match class {
                Some(class) => class.to_string(),
                None => NO_NUMBER.to_string(),
            };
            return classes.iter().map(number).collect::<Vec<_>>().join(" ");
        };
        // The blank takes no place in the table.
        let skipped = |class: u32| usize::from(blank.is_some_and(|blank| blank < class));
        let character = |class: &Option<u32>| {
            let place = class.map(|class| class as usize - skipped(class));
            place.map_or(NO_NUMBER, |place| table.get(place).copied().unwrap_or("?"))
        };
        classes.iter().map(character).collect()
    }

    /// The characters, if they are as many as the classes: PaddleOCR adds a space at the end.
    fn table(&self, n_classes: usize, blank: Option<u32>) -> Option<Vec<&str>> {
        let told = n_classes.checked_sub(usize::from(blank.is_some()))?;
        let mut table: Vec<&str> = self.characters.iter().map(String::as_str).collect();
        if table.len() + 1 == told {
            table.push(" ");
        }
        (table.len() == told && told > 0).then_some(table)
    }
}

/// What stands for scores that are no numbers.
const NO_NUMBER: &str = "\u{fffd}";

fn lines(text: &str) -> Vec<String> {
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    lines
        .map(|line| line.trim_end_matches('\r').to_string())
        .collect()
}

/// The names of a dictionary as Python writes it, `{0: 'cat', 1: "dog's"}`, if its keys count up
/// from 0.
fn dictionary(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (name, after) = after[1..].split_once(quote)?;
        if key.trim().parse() != Ok(names.len()) {
            return None;
        }
        names.push(name.to_string());
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_of_python_are_read() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
            assert_eq!(dictionary(text), expected, "{text}");
        };
        check("{0: 'cat', 1: \"dog's\"}", Some(&["cat", "dog's"]));
        check("{0: 'a, b: c',}", Some(&["a, b: c"]));
        check("{}", Some(&[]));
        check("{1: 'cat'}", None);
        check("{0: cat}", None);
        check("{0: 'cat", None);
        check("['cat']", None);
        check("", None);
    }

    #[test]
    fn texts_are_spelt_by_the_table_of_the_file() {
        let names = |table: &str| Names {
            classes: Vec::new(),
            characters: lines(table),
        };
        let check = |table: &str, n_classes: usize, blank: Option<u32>, expected: &str| {
            let classes = [Some(1), None, Some(3)];
            assert_eq!(names(table).text(&classes, n_classes, blank), expected);
        };
        check("a\nb\nc\n", 4, Some(0), "a\u{fffd}c");
        check("a\nb\nc", 5, Some(0), "a\u{fffd}c");
        check("a\nb\n", 4, Some(0), "a\u{fffd} ");
        check("a\nb\nc\nd\n", 5, Some(4), "b\u{fffd}d");
        check("a\nb\nc\nd\n", 4, None, "b\u{fffd}d");
        // A table of another network.
        check("a\nb\nc\n", 9, Some(0), "1 \u{fffd} 3");
        check("", 9, Some(0), "1 \u{fffd} 3");
    }
}
