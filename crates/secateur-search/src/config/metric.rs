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
    /// A share of a size's count. Rounded down: a budget of 0.14 is met by 0.13999, not by 0.14001.
    pub fn count(self, share: f64, of: &Size) -> u64 {
        (share * self.of(of) as f64).floor() as u64
    }

    /// All names, as in a sentence: `params, macs, kernels, conv-params or latency`.
    pub fn names() -> String {
        let names = Self::ALL.map(Self::name);
        let (last, others) = names.split_last().expect("there are metrics");
        format!("{} or {last}", others.join(", "))
    }

    /// About the share of the multiply-adds where a share of this count remains.
    pub fn share_of_macs(self, share: f64) -> f64 {
        match self {
            // Half of the kernels in every layer are a quarter of the connections.
            Self::Kernels => share * share,
            _ => share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_sentence() {
        assert_eq!(Metric::names(), "params, macs, kernels, conv-params or latency");
        assert_eq!("conv-params".parse(), Ok(Metric::ConvParams));
    }
}
