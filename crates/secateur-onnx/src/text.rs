//! Words for numbers and lists.

/// A count and what is counted, which is given in the singular.
///
/// ```
/// use secateur_onnx::text::counted;
///
/// assert_eq!(counted(1, "layer"), "1 layer");
/// assert_eq!(counted(2, "layer"), "2 layers");
/// assert_eq!(counted(0, "class"), "0 classes");
/// assert_eq!(counted(3, "box"), "3 boxes");
/// ```
pub fn counted(n: usize, noun: &str) -> String {
    let ending = match noun {
        _ if n == 1 => "",
        _ if noun.ends_with(['s', 'x']) => "es",
        _ => "s",
    };
    format!("{n} {noun}{ending}")
}

/// The first name of a list, and how many there are besides; nothing of an empty list.
///
/// ```
/// use secateur_onnx::text::first_and_more;
///
/// assert_eq!(first_and_more(&["a"]), "`a`");
/// assert_eq!(first_and_more(&["a", "b", "c"]), "`a` and 2 more");
/// ```
pub fn first_and_more(names: &[impl AsRef<str>]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{}`", only.as_ref()),
        [first, rest @ ..] => format!("`{}` and {} more", first.as_ref(), rest.len()),
    }
}
