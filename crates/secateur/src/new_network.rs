//! New networks of the built-in architectures.

use secateur_onnx::OnnxError;
use secateur_onnx::arch::{
    DEFAULT_WIDTHS, LeNetConfig, MobileNetConfig, ResNetConfig, VggConfig, lenet5, mobilenet_v2,
    resnet, vgg_like,
};
use secateur_onnx::model::Model;
use thiserror::Error;

use crate::data::{DataError, Source};

/// Built-in architectures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Arch {
    /// 3x3 convolutions with batch norm and ReLU, 2x2 pooling, fully connected layers
    #[default]
    VggLike,
    /// 5x5 convolutions of 20 and 50 kernels, 500 hidden features (Caffe's, for digits)
    #[cfg_attr(feature = "cli", value(name = "lenet-5"))]
    LeNet5,
    /// 20 layers in three stages of residual blocks, 16 to 64 kernels
    #[cfg_attr(feature = "cli", value(name = "resnet-20"))]
    ResNet20,
    /// Inverted residual blocks, with strides for small images
    #[cfg_attr(feature = "cli", value(name = "mobilenet-v2"))]
    MobileNetV2,
}

/// What keeps a network from being built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NewNetworkError {
    /// Widths for an architecture that has its own.
    #[error("cannot use `{option}`: the widths of this architecture are given")]
    WidthsAreGiven {
        /// What was asked for: `widths`.
        option: &'static str,
    },
    /// Widths that are none.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// A network that is to be built.
#[derive(Debug, Clone, Default)]
pub struct NewNetwork {
    /// Its architecture.
    pub arch: Arch,
    /// VGG-like: kernels a convolution, and M for pooling, such as `32,32,M,64`.
    pub widths: Option<String>,
    /// VGG-like: widths of the hidden fully connected layers.
    pub hidden: Option<Vec<usize>>,
}

impl NewNetwork {
    /// Builds it for the images and classes of some data, with weights by the seed.
    ///
    /// # Errors
    /// [`NewNetworkError`] for widths that cannot be used, and data without labels or one size.
    pub fn build(&self, source: &Source, seed: u64) -> Result<Model, NewNetworkError> {
        source.check_labelled("train")?;
        let [h, w, c] = source.own_shape()?;
        let (input, classes) = ([c, h, w], source.train.n_classes());
        let shaped = [
            ("widths", self.widths.is_some()),
            ("hidden", self.hidden.is_some()),
        ];
        if self.arch != Arch::VggLike
            && let Some(&(option, _)) = shaped.iter().find(|(_, is_given)| *is_given)
        {
            return Err(NewNetworkError::WidthsAreGiven { option });
        }
        Ok(match self.arch {
            Arch::VggLike => {
                let widths = self.widths.as_deref().unwrap_or(DEFAULT_WIDTHS);
                let config = VggConfig {
                    input,
                    stages: VggConfig::parse_stages(widths)?,
                    hidden: self.hidden.clone().unwrap_or_else(|| vec![128]),
                    classes,
                };
                vgg_like(&config, seed)?
            }
            Arch::LeNet5 => lenet5(&LeNetConfig::new(input, classes), seed)?,
            Arch::ResNet20 => resnet(&ResNetConfig::new(input, classes), seed)?,
            Arch::MobileNetV2 => mobilenet_v2(&MobileNetConfig::new(input, classes), seed)?,
        })
    }
}
