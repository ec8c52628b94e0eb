//! What a budget is counted in.

use secateur_onnx::cost::Size;

/// Declares the metrics: name on the command line, words for people, count of a size.
macro_rules! metrics {
    ($($(#[doc = $text:literal])+ $Metric:ident = $name:literal, $words:literal, $count:expr;)+) => {
        secateur_net::choices! {
            /// What a budget is counted in.
            pub enum Metric {
                $($(#[doc = $text])+ $Metric = $name,)+
            }
        }

        impl Metric {
            /// What it counts, for people.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$Metric => $words,)+
                }
            }

            /// That count of a size.
            pub fn of(self, size: &Size) -> u64 {
                let count: fn(&Size) -> u64 = match self {
                    $(Self::$Metric => $count,)+
                };
                count(size)
            }
        }
    };
}

metrics! {
    /// All parameters.
    Params = "params", "parameters", |size| size.params;
    /// Multiply-adds of one inference.
    Macs = "macs", "multiply-adds", |size| size.macs;
    /// Output filters of convolutions.
    Kernels = "kernels", "kernels", |size| size.kernels;
    /// Parameters of convolutions.
    ConvParams = "conv-params", "convolution parameters", |size| size.conv_params;
    /// Time of a run in an engine, by a table that is measured there.
    Latency = "latency", "latency", |size| size.latency;
}

impl Metric {
    /// Those that follow from the file alone; the time has to be measured.
    pub const COUNTED: [Self; 4] = [Self::Params, Self::Macs, Self::Kernels, Self::ConvParams];

    /// All names, as in a sentence: `params, macs, kernels, conv-params or latency`.
    pub fn names() -> String {
        let names = Self::ALL.map(Self::name);
        let (last, others) = names.split_last().expect("there are metrics");
        format!("{} or {last}", others.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_sentence() {
        assert_eq!(
            Metric::names(),
            "params, macs, kernels, conv-params or latency"
        );
        assert_eq!("conv-params".parse(), Ok(Metric::ConvParams));
    }
}
