//! Texts of both networks.

use maud::{Markup, html};

use super::panel::Input;

/// The input, then both texts, with what differs marked.
pub(super) fn body(input: &Input<'_>, [original, result]: [&String; 2], network: &str) -> Markup {
    let (before, after) = marked(original, result);
    html! {
        (input.row(&[input.panel()]))
        dl.texts {
            dt { "given network" } dd { (text(before)) }
            dt { (network) } dd { (text(after)) }
        }
    }
}

/// Where texts begin and end alike, and what lies between.
type Parts<'a> = [&'a str; 3];

/// Cuts two texts where they begin to differ and where that ends.
fn marked<'a>(a: &'a str, b: &'a str) -> (Parts<'a>, Parts<'a>) {
    let same = |(a, b): &(char, char)| a == b;
    let start: usize = a
        .chars()
        .zip(b.chars())
        .take_while(same)
        .map(|(c, _)| c.len_utf8())
        .sum();
    let (rest_a, rest_b) = (&a[start..], &b[start..]);
    let backwards = rest_a.chars().rev().zip(rest_b.chars().rev());
    let end: usize = backwards.take_while(same).map(|(c, _)| c.len_utf8()).sum();
    let cut = |whole: &'a str, rest: &'a str| {
        let (middle, last) = rest.split_at(rest.len() - end);
        [&whole[..start], middle, last]
    };
    (cut(a, rest_a), cut(b, rest_b))
}

fn text([before, differing, after]: Parts<'_>) -> Markup {
    html! {
        @if before.is_empty() && differing.is_empty() && after.is_empty() {
            span.muted { "nothing" }
        } @else {
            (before) @if !differing.is_empty() { mark { (differing) } } (after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_lies_between_what_is_alike() {
        let check = |a: &str, b: &str, expected: [[&str; 3]; 2]| {
            let (before, after) = marked(a, b);
            assert_eq!([before, after], expected);
        };
        check("größe", "grüße", [["gr", "ö", "ße"], ["gr", "ü", "ße"]]);
        check("aa", "aaa", [["aa", "", ""], ["aa", "a", ""]]);
        check("", "x", [["", "", ""], ["", "x", ""]]);
        check("abc", "abc", [["abc", "", ""]; 2]);
        let shown = |parts| text(parts).into_string();
        assert_eq!(shown(["a", "<", "c"]), "a<mark>&lt;</mark>c");
        assert!(shown([""; 3]).contains("nothing"));
    }
}
