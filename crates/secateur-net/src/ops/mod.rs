//! Operators of the trainable network: one file per idea, each with the forward
//! pass through the CPU routines and through stock Burn (the reference, and the
//! path of other devices). Gradients come from Burn's tape in both cases.

mod activation;
mod along_axis;
mod arithmetic;
mod axis_map;
mod binary;
mod broadcast;
mod call;
mod concat;
mod conv_block;
mod conv_general;
mod deform_conv;
mod einsum;
mod function;
mod general;
mod grid_sample;
mod integers;
mod layout;
mod linear;
mod marks;
mod math;
mod matmul;
mod norm;
mod operator;
mod picking;
mod places;
mod pool;
mod positions;
mod power_mean;
mod recurrent;
mod reduce;
mod registry;
mod reorder;
mod resize;
mod row_norm;
mod rows;
mod scatter;
mod slicing;
mod softmax;
mod window;

pub use call::Planner;
pub use conv_block::ConvBlock;
pub use general::General;
pub use linear::Linear;
pub use norm::{BatchNorm, norm_names};
pub use operator::{Folded, Operator};
pub use pool::Pool;
pub use registry::{is_supported, lookup};
