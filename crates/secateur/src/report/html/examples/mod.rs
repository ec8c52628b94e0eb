//! The samples on which original and result differ most.

mod boxes;
mod classes;
mod maps;
mod panel;
mod texts;
mod values;

use maud::{Markup, html};

use self::panel::Input;
use super::percent;
use crate::examples::{Drawn, Example, Examples, HeldOut, Said, ShownInput};
use crate::report::RunReport;
use crate::report::terminal::grouped;

/// What a report calls things.
struct Words<'a> {
    quality: &'a str,
    noun: &'a str,
    is_against_original: bool,
}

/// A card for each sample, and how they were picked; nothing where there are none to speak of.
pub(super) fn examples(report: &RunReport, examples: Option<&Examples>) -> Markup {
    let Some(examples) = examples else {
        return html! {};
    };
    section(
        &Words {
            quality: &report.quality_name,
            noun: report.noun(),
            is_against_original: report.is_against_original,
        },
        examples,
    )
}

fn section(words: &Words<'_>, examples: &Examples) -> Markup {
    let shown = examples.shown.iter();
    let are_small = shown
        .map(|example| &example.said)
        .all(|said| matches!(said, Said::Classes { .. }));
    html! {
        section.examples aria-labelledby="examples" {
            h2 id="examples" { "Where they differ most" }
            (lead(words, examples))
            div.cards.small[are_small] {
                @for (place, example) in examples.shown.iter().enumerate() {
                    (card(words, examples, place, example))
                }
            }
        }
    }
}

/// How the samples were picked, so that nobody takes them for typical.
fn lead(words: &Words<'_>, examples: &Examples) -> Markup {
    let which = which(words, examples);
    let quality = words.quality;
    let of_all = |n: usize| percent(n as f64 / examples.samples.max(1) as f64);
    let count = |n: usize| grouped(n as u64);
    let differing = examples.samples - examples.alike.min(examples.samples);
    html! {
        @if examples.shown.is_empty() {
            p {
                "On all " (count(examples.samples)) " " (which) " " (examples.network)
                " has the same " (quality) " as the given network: there is nothing to show."
            }
        } @else {
            p {
                "The " (count(examples.shown.len())) " of " (count(examples.samples)) " " (which)
                " on which the " (quality) " of " (examples.network)
                " is furthest from the given network's, furthest first (where that is equal, by the loss). "
                "They were picked for it and are typical of nothing: on "
                (count(examples.alike)) " (" (of_all(examples.alike)) ") both have the same "
                (quality) ", on " (count(differing)) " they differ."
            }
            p.muted {
                "The list is in " code { "examples/list.json" } " of the run folder, pictures beside it. "
                "Numbers count samples of " (examples.numbered_in) " from 0."
            }
        }
    }
}

/// `test images`.
fn which(words: &Words<'_>, examples: &Examples) -> String {
    let part = match examples.part {
        HeldOut::Test => "test",
        HeldOut::Confirm => "confirming",
    };
    let plural = if examples.samples == 1 { "" } else { "s" };
    format!("{part} {}{plural}", words.noun)
}

fn card(words: &Words<'_>, examples: &Examples, place: usize, example: &Example) -> Markup {
    let name = match &example.file {
        Some(file) => file
            .file_name()
            .unwrap_or(file.as_os_str())
            .to_string_lossy()
            .into_owned(),
        None => format!("{} {}", words.noun, example.number),
    };
    let path = example.file.as_ref().map(|file| file.display().to_string());
    html! {
        article.example {
            h3 { span title=[path] { (place + 1) ". " (name) } span.muted { (verdict(words, example)) } }
            (body(example, place, &examples.network))
        }
    }
}

/// Quality before and after.
fn verdict(words: &Words<'_>, example: &Example) -> String {
    let (before, after) = (example.original_quality, example.result_quality);
    let is_class = matches!(example.said, Said::Classes { .. });
    let right = |quality: f32| if quality >= 1.0 { "right" } else { "wrong" };
    match &example.label {
        _ if is_class && words.is_against_original => "another class".to_string(),
        Some(label) if is_class => format!("class {label}: {} → {}", right(before), right(after)),
        _ if words.is_against_original && before >= 1.0 => {
            format!("{} {}", words.quality, percent(f64::from(after)))
        }
        _ => {
            let [before, after] = [before, after].map(|q| percent(f64::from(q)));
            format!("{} {before} → {after}", words.quality)
        }
    }
}

fn body(example: &Example, place: usize, network: &str) -> Markup {
    let input = Input::of(&example.inputs, place);
    match &example.said {
        Said::Classes { original, result } => classes::body(&input, [original, result], network),
        Said::Boxes { original, result } => boxes::body(&input, [original, result], network),
        Said::Maps { maps } => maps::body(&input, maps, network),
        Said::Texts { original, result } => texts::body(&input, [original, result], network),
        Said::Values { outputs } => values::body(&input, outputs, network),
    }
}

/// What the networks took besides one picture: several inputs, rows and figures.
fn drawn(input: &ShownInput) -> Markup {
    let shape: Vec<String> = input.shape.iter().map(ToString::to_string).collect();
    let title = format!("{} [{}]", input.name, shape.join(", "));
    match &input.drawn {
        Drawn::Picture(picture) => panel::picture(&title, picture),
        Drawn::Line(values) => panel::lines(&title, &[values.as_slice()]),
        Drawn::Words(words) => html! { p { code { (title) } ": " (words) } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::{NamedShare, Picture};

    const WORDS: Words<'_> = Words {
        quality: "agreement",
        noun: "image",
        is_against_original: true,
    };

    fn example(drawn: Drawn, said: Said) -> Example {
        let input = ShownInput {
            name: "x".to_string(),
            shape: vec![2, 3],
            drawn,
        };
        Example {
            number: 41,
            file: None,
            label: None,
            original_quality: 1.0,
            result_quality: 0.25,
            inputs: vec![input],
            said,
        }
    }

    fn picture() -> Drawn {
        Drawn::Picture(Picture {
            file: "01-1-input.png".to_string(),
            size: [3, 2],
            png: vec![1, 2, 3],
        })
    }

    fn page(samples: usize, alike: usize, shown: Vec<Example>) -> String {
        let examples = Examples {
            network: "small.onnx".to_string(),
            part: HeldOut::Test,
            numbered_in: "the test data".to_string(),
            samples,
            alike,
            shown,
        };
        section(&WORDS, &examples).into_string()
    }

    #[test]
    fn how_they_were_picked_is_told() {
        let said = Said::Texts {
            original: "a".to_string(),
            result: "b".to_string(),
        };
        let text = page(1500, 1488, vec![example(picture(), said)]);
        for expected in [
            "The 1 of 1 500 test images on which the agreement of small.onnx is furthest",
            "typical of nothing: on 1 488 (99.20 %) both have the same agreement, on 12 they differ.",
            "1. image 41",
            "agreement 25.00 %",
            "data:image/png;base64,AQID",
            "aria-label=\"the input\"",
        ] {
            assert!(text.contains(expected), "no `{expected}` in {text}");
        }
        let none = page(1, 1, Vec::new());
        let expected = "On all 1 test image small.onnx has the same agreement as the given network";
        assert!(none.contains(expected), "{none}");
        assert!(!none.contains("<article"));
    }

    #[test]
    fn a_picture_is_embedded_once() {
        let boxes = Said::Boxes {
            original: Vec::new(),
            result: Vec::new(),
        };
        let text = page(2, 1, vec![example(picture(), boxes)]);
        assert_eq!(text.matches("base64").count(), 1);
        assert_eq!(text.matches("href=\"#example-1\"").count(), 2);
        assert!(
            text.contains("aria-label=\"given network: no box\""),
            "{text}"
        );
    }

    #[test]
    fn classes_by_labels_tell_right_from_wrong() {
        let share = NamedShare {
            class: "<cat>".to_string(),
            share: None,
        };
        let classes = Said::Classes {
            original: vec![share.clone()],
            result: vec![share],
        };
        let mut shown = example(Drawn::Words("7, 8".to_string()), classes);
        shown.label = Some("dog".to_string());
        let against = |is_against_original: bool| {
            let words = Words {
                is_against_original,
                ..WORDS
            };
            verdict(&words, &shown)
        };
        assert_eq!(against(false), "class dog: right → wrong");
        assert_eq!(against(true), "another class");
        let text = page(2, 1, vec![shown]);
        assert!(
            text.contains("&lt;cat&gt;") && text.contains("no number"),
            "{text}"
        );
        assert!(text.contains("x [2, 3]") && text.contains("7, 8"), "{text}");
    }
}
