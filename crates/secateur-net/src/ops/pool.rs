//! Pooling: maximum, average, global average.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__MaxPool.html> (opset 1-22),
//! <https://onnx.ai/onnx/operators/onnx__AveragePool.html>.

use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{Tensor, module};
use secateur_onnx::graph::{Graph, Node};

use super::{Operator, input_name, to_channels_first, to_channels_last, unsupported};
use crate::error::{NetError, Result};
use crate::interpreter::Pass;
use crate::value::Value;

fn sizes(node: &Node, name: &str) -> Result<Option<Vec<usize>>> {
    let Some(values) = node.attr_ints(name) else {
        return Ok(None);
    };
    values
        .iter()
        .map(|&v| usize::try_from(v))
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
        .map_err(|_| NetError::Graph {
            place: format!("node `{}`, attribute `{name}`", node.name),
            reason: format!("expected sizes, got {values:?}"),
        })
}

/// A 2-element attribute such as `strides`.
pub(super) fn pair(node: &Node, name: &str, default: usize) -> Result<[usize; 2]> {
    match sizes(node, name)?.as_deref() {
        None | Some([]) => Ok([default; 2]),
        Some(&[a, b]) if a > 0 && b > 0 => Ok([a, b]),
        Some(other) => Err(NetError::Graph {
            place: format!("node `{}`, attribute `{name}`", node.name),
            reason: format!("expected two positive numbers, got {other:?}"),
        }),
    }
}

/// Padding `[top, left, bottom, right]` from `pads` or `auto_pad`.
///
/// `SAME_*` depends on the input's size unless the stride is 1, which is the
/// only case taken here.
pub(super) fn pads(
    graph: &Graph,
    node: &Node,
    kernel_size: [usize; 2],
    dilation: [usize; 2],
) -> Result<[usize; 4]> {
    let auto = node.attr_s("auto_pad").unwrap_or_default();
    match auto.as_str() {
        "" | "NOTSET" => match sizes(node, "pads")?.as_deref() {
            None | Some([]) => Ok([0; 4]),
            Some(&[top, left, bottom, right]) => Ok([top, left, bottom, right]),
            Some(other) => Err(NetError::Graph {
                place: format!("node `{}`, attribute `pads`", node.name),
                reason: format!("expected four numbers, got {other:?}"),
            }),
        },
        "VALID" => Ok([0; 4]),
        same @ ("SAME_UPPER" | "SAME_LOWER") => {
            if pair(node, "strides", 1)? != [1, 1] {
                return Err(unsupported(
                    graph,
                    node,
                    format!("has auto_pad {same} with a stride"),
                ));
            }
            let total = [0, 1].map(|i| (kernel_size[i] - 1) * dilation[i]);
            let small = total.map(|t| t / 2);
            let large = [total[0] - small[0], total[1] - small[1]];
            Ok(if same == "SAME_UPPER" {
                [small[0], small[1], large[0], large[1]]
            } else {
                [large[0], large[1], small[0], small[1]]
            })
        }
        other => Err(unsupported(
            graph,
            node,
            format!("has unknown auto_pad `{other}`"),
        )),
    }
}

/// 2x2 max pooling with stride 2 on `[n, c, h, w]`.
pub(super) fn max_pool_2x2(x: Tensor<4>) -> Tensor<4> {
    module::max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2]))
}

/// Which pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// Largest value of the window.
    Max,
    /// Mean of the window.
    Average {
        /// Whether padded positions count.
        count_include_pad: bool,
    },
}

/// Windowed pooling.
#[derive(Debug)]
pub struct Pool {
    node: String,
    input: String,
    output: String,
    kind: PoolKind,
    kernel_size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    ceil_mode: bool,
}

impl Pool {
    /// Reads a `MaxPool` or `AveragePool` node.
    ///
    /// # Errors
    /// [`NetError::Unsupported`] for asymmetric padding or windows that are not 2-D.
    pub fn new(graph: &Graph, node: &Node) -> Result<Self> {
        let window = sizes(node, "kernel_shape")?.unwrap_or_default();
        let Ok(kernel_size) = <[usize; 2]>::try_from(window) else {
            return Err(unsupported(graph, node, "does not have a 2-D window"));
        };
        let dilation = pair(node, "dilations", 1)?;
        let [top, left, bottom, right] = pads(graph, node, kernel_size, dilation)?;
        if top != bottom || left != right {
            return Err(unsupported(graph, node, "has asymmetric padding"));
        }
        let kind = match node.op_type.as_str() {
            "MaxPool" => PoolKind::Max,
            _ => PoolKind::Average {
                count_include_pad: node.attr_i("count_include_pad", 0) != 0,
            },
        };
        Ok(Self {
            node: node.name.clone(),
            input: input_name(node, 0)?.to_string(),
            output: node.outputs[0].clone(),
            kind,
            kernel_size,
            stride: pair(node, "strides", 1)?,
            padding: [top, left],
            dilation,
            ceil_mode: node.attr_i("ceil_mode", 0) != 0,
        })
    }

    /// True for 2x2 max pooling with stride 2 and no padding, which convolutions take in.
    pub fn is_fusable(&self) -> bool {
        self.kind == PoolKind::Max
            && self.kernel_size == [2, 2]
            && self.stride == [2, 2]
            && self.padding == [0, 0]
            && self.dilation == [1, 1]
            && !self.ceil_mode
    }
}

impl Operator for Pool {
    fn node(&self) -> &str {
        &self.node
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input]
    }

    fn output(&self) -> &str {
        &self.output
    }

    fn describe(&self) -> String {
        let [kh, kw] = self.kernel_size;
        format!("{:?} pooling {kh}x{kw} from `{}`", self.kind, self.node)
    }

    fn forward(&self, _: &Pass<'_>, inputs: &[Value]) -> Result<Value> {
        let x = to_channels_first(inputs[0].image(&self.node)?);
        let y = match self.kind {
            PoolKind::Max => module::max_pool2d(
                x,
                MaxPoolOptions::new(self.kernel_size)
                    .with_stride(self.stride)
                    .with_padding(self.padding)
                    .with_dilation(self.dilation)
                    .with_ceil_mode(self.ceil_mode),
            ),
            PoolKind::Average { count_include_pad } => module::avg_pool2d(
                x,
                AvgPoolOptions::new(self.kernel_size)
                    .with_stride(self.stride)
                    .with_padding(self.padding)
                    .with_count_include_pad(count_include_pad)
                    .with_ceil_mode(self.ceil_mode),
            ),
        };
        Ok(Value::Image(to_channels_last(y)))
    }
}

/// Mean over all pixels.
#[derive(Debug)]
pub struct GlobalAveragePool {
    node: String,
    input: String,
    output: String,
}

impl GlobalAveragePool {
    /// Reads a `GlobalAveragePool` node.
    ///
    /// # Errors
    /// [`NetError::Graph`] without an input.
    pub fn new(node: &Node) -> Result<Self> {
        Ok(Self {
            node: node.name.clone(),
            input: input_name(node, 0)?.to_string(),
            output: node.outputs[0].clone(),
        })
    }
}

impl Operator for GlobalAveragePool {
    fn node(&self) -> &str {
        &self.node
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input]
    }

    fn output(&self) -> &str {
        &self.output
    }

    fn describe(&self) -> String {
        format!("global average pooling from `{}`", self.node)
    }

    fn forward(&self, _: &Pass<'_>, inputs: &[Value]) -> Result<Value> {
        let x = inputs[0].image(&self.node)?;
        let [n, h, w, c] = x.dims();
        let y: Tensor<3> = x.reshape([n, h * w, c]).mean_dim(1);
        Ok(Value::Image(y.reshape([n, 1, 1, c])))
    }
}
