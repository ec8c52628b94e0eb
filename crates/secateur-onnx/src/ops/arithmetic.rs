//! Arithmetic on single numbers of shape computations.

use crate::extents::{Element, Format, Number};
use crate::graph::Node;

/// An operator that works element by element.
pub(super) struct Arithmetic<'a> {
    op_type: &'a str,
    format: Format,
    /// True for a `Mod` whose result has the sign of the dividend.
    truncates: bool,
}

impl<'a> Arithmetic<'a> {
    /// The operator of a node.
    pub(super) fn of(node: &'a Node, format: Format) -> Self {
        Self {
            op_type: &node.op_type,
            format,
            truncates: node.attr_i("fmod", 0) != 0,
        }
    }

    /// The operator of that name.
    pub(super) fn named(op_type: &'a str, format: Format) -> Self {
        Self {
            op_type,
            format,
            truncates: false,
        }
    }

    /// The result for elements that meet each other; `None` if there are too few.
    pub(super) fn apply(&self, inputs: &[&Element]) -> Option<Element> {
        if self.op_type == "Where" {
            let [condition, yes, no] = inputs else {
                return None;
            };
            return Some(choose(condition, yes, no));
        }
        let (first, others) = inputs.split_first()?;
        let mut result = (*first).clone();
        for other in others {
            result = self.combine(&result, other);
        }
        Some(result)
    }

    /// Integer arithmetic; `None` where it is undefined or not a whole number.
    fn compute(&self, a: i64, b: i64) -> Option<i64> {
        match self.op_type {
            "Add" | "Sum" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            "Div" if self.format != Format::Integer => {
                (b != 0 && a.checked_rem(b)? == 0).then(|| a / b)
            }
            "Div" => a.checked_div(b),
            "Mod" if self.truncates => a.checked_rem(b),
            // The result has the sign of the divisor.
            "Mod" => a.checked_rem(b)?.checked_add(b)?.checked_rem(b),
            "Pow" => a.checked_pow(u32::try_from(b).ok()?),
            "Max" => Some(a.max(b)),
            "Min" => Some(a.min(b)),
            "Equal" => Some(i64::from(a == b)),
            "Greater" => Some(i64::from(a > b)),
            "GreaterOrEqual" => Some(i64::from(a >= b)),
            "Less" => Some(i64::from(a < b)),
            "LessOrEqual" => Some(i64::from(a <= b)),
            "And" => Some(i64::from(a != 0 && b != 0)),
            "Or" => Some(i64::from(a != 0 || b != 0)),
            "Xor" => Some(i64::from((a != 0) != (b != 0))),
            _ => None,
        }
    }

    /// As [`Arithmetic::compute`] in 32 bits of floating point.
    fn compute_single(&self, a: f32, b: f32) -> Option<Number> {
        Some(match self.op_type {
            "Add" | "Sum" => Number::of_single(a + b),
            "Sub" => Number::of_single(a - b),
            "Mul" => Number::of_single(a * b),
            "Div" => Number::of_single(a / b),
            "Max" => Number::of_single(a.max(b)),
            "Min" => Number::of_single(a.min(b)),
            "Equal" => Number::Known(i64::from(a == b)),
            "Greater" => Number::Known(i64::from(a > b)),
            "GreaterOrEqual" => Number::Known(i64::from(a >= b)),
            "Less" => Number::Known(i64::from(a < b)),
            "LessOrEqual" => Number::Known(i64::from(a <= b)),
            _ => return None,
        })
    }

    /// The number that two others give.
    pub(super) fn number(&self, a: &Number, b: &Number) -> Number {
        if let (Format::Single, Some(x), Some(y)) = (self.format, a.single(), b.single())
            && let Some(number) = self.compute_single(x, y)
        {
            return number;
        }
        match (a, b) {
            (Number::Known(x), Number::Known(y)) => {
                self.compute(*x, *y).map_or(Number::Unknown, Number::Known)
            }
            (named @ Number::Named(_), Number::Known(v)) => match (self.op_type, v) {
                ("Mul" | "Div", 1) | ("Add" | "Sub", 0) => named.clone(),
                _ => Number::Unknown,
            },
            (Number::Known(v), named @ Number::Named(_)) => match (self.op_type, v) {
                ("Mul", 1) | ("Add", 0) => named.clone(),
                _ => Number::Unknown,
            },
            _ => Number::Unknown,
        }
    }

    /// The element that two others give.
    fn combine(&self, a: &Element, b: &Element) -> Element {
        let negative =
            |e: &Element| e.sources.is_empty() && e.number.known().is_some_and(|v| v < 0);
        if self.op_type == "Equal" && (a.is_extent() && negative(b) || negative(a) && b.is_extent())
        {
            return Element::constant(0);
        }
        let number = self.number(&a.number, &b.number);
        let constant = |e: &Element| e.number.known().filter(|_| e.sources.is_empty());
        match (self.op_type, constant(a), constant(b)) {
            ("Mul", _, Some(times)) => a.scaled(number, times, 1),
            ("Mul", Some(times), _) => b.scaled(number, times, 1),
            ("Div", _, Some(by)) => a.scaled(number, 1, by),
            _ => Element::computed(number, &[a, b]),
        }
    }
}

/// One of two elements, by a condition.
fn choose(condition: &Element, yes: &Element, no: &Element) -> Element {
    match condition.number.known() {
        // Only a condition that no removal changes decides for good.
        Some(chosen) if condition.sources.is_empty() => if chosen != 0 { yes } else { no }.clone(),
        Some(chosen) => {
            let chosen = if chosen != 0 { yes } else { no };
            Element::computed(chosen.number.clone(), &[condition, chosen])
        }
        None => Element::computed(Number::Unknown, &[condition, yes, no]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(operator: &Arithmetic<'_>, a: i64, b: i64) -> Option<i64> {
        operator
            .number(&Number::Known(a), &Number::Known(b))
            .known()
    }

    #[test]
    fn remainders_have_the_sign_that_the_operator_says() {
        let floored = Arithmetic::named("Mod", Format::Integer);
        let truncated = Arithmetic {
            truncates: true,
            ..Arithmetic::named("Mod", Format::Integer)
        };
        for (a, b, floor, trunc) in [
            (7, 3, 1, 1),
            (-7, 3, 2, -1),
            (7, -3, -2, 1),
            (-7, -3, -1, -1),
        ] {
            assert_eq!(known(&floored, a, b), Some(floor), "{a} mod {b}");
            assert_eq!(known(&truncated, a, b), Some(trunc), "{a} fmod {b}");
        }
        assert_eq!(known(&floored, 1, 0), None);
    }
}
