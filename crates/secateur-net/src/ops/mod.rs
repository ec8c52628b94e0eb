//! Operators of the trainable network: one file per idea, each with the forward
//! pass through the CPU routines and through stock Burn (the reference, and the
//! path of other devices). Gradients come from Burn's tape in both cases.

mod activation;
mod arithmetic;
mod axis_map;
mod binary;
mod broadcast;
mod call;
mod concat;
mod conv_block;
mod conv_general;
mod function;
mod integers;
mod layout;
mod linear;
mod math;
mod matmul;
mod norm;
mod operator;
mod pool;
mod reduce;
mod registry;
mod reorder;
mod resize;
mod row_norm;
mod slicing;
mod softmax;
mod window;

pub use call::{General, Planner};
pub use conv_block::ConvBlock;
pub use linear::Linear;
pub use norm::norm_names;
pub use operator::{Folded, Operator};
pub use pool::Pool;
pub use registry::{SPLIT, is_supported, lookup};
pub use slicing::split;
