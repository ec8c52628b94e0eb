//! Tensors whose rank is known only at run time.
//!
//! Burn's tensors carry their rank in the type; the primitives below them do not.
//! Operators of any rank work on those primitives, and Burn's tape follows them.

use burn::backend::{Dispatch, TensorMetadata, ops::FloatTensorOps, tensor::FloatTensor};
use burn::tensor::{Device, Gradients, Shape, Slice, Tensor, TensorData};

/// A differentiable tensor of any rank, in the file's order of axes.
#[derive(Debug, Clone)]
pub struct Dense {
    /// A scalar (rank 0) lies in a vector of one element.
    raw: FloatTensor<Dispatch>,
    dims: Vec<usize>,
}

type Ops = Dispatch;

impl Dense {
    /// Takes over a tensor.
    pub fn from_tensor<const D: usize>(tensor: Tensor<D>) -> Self {
        Self::from_raw(tensor.into_dispatch())
    }

    fn from_raw(raw: FloatTensor<Dispatch>) -> Self {
        let dims = raw.shape().iter().copied().collect();
        Self { raw, dims }
    }

    /// Zeros.
    pub fn zeros(dims: &[usize], device: &Device) -> Self {
        Self::from_tensor(Tensor::<1>::zeros([dims.iter().product::<usize>()], device))
            .reshape(dims)
    }

    /// Constants in its shape, on its device.
    pub fn like(&self, values: Vec<f32>) -> Self {
        let len = values.len();
        let data = TensorData::new(values, [len]);
        Self::from_tensor(Tensor::<1>::from_data(data, &self.untyped().device()))
            .reshape(&self.dims)
    }

    /// As a tensor of rank `D`.
    ///
    /// # Panics
    /// If the rank is another.
    pub fn tensor<const D: usize>(&self) -> Tensor<D> {
        assert_eq!(self.dims.len(), D, "rank of {:?}", self.dims);
        Tensor::from_dispatch(self.raw.clone())
    }

    /// The tensor under a type of any rank, for fused operations, which look at elements only.
    pub fn untyped(&self) -> Tensor<1> {
        Tensor::from_dispatch(self.raw.clone())
    }

    /// The result of a fused operation, of shape `dims`.
    pub fn from_untyped(tensor: Tensor<1>, dims: &[usize]) -> Self {
        Self::from_raw(tensor.into_dispatch()).reshape(dims)
    }

    /// As a vector.
    pub fn flat(&self) -> Tensor<1> {
        self.reshape(&[self.len()]).tensor()
    }

    /// The same as a leaf of a gradient tape.
    pub(crate) fn leaf(&self) -> Self {
        Self::from_tensor(self.untyped().detach().require_grad())
    }

    /// The gradient of a leaf, as a vector.
    pub(crate) fn gradient(&self, gradients: &Gradients) -> Option<Tensor<1>> {
        Some(Self::from_tensor(self.untyped().grad(gradients)?).flat())
    }

    /// Extents.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, row-major.
    pub fn to_vec(&self) -> Vec<f32> {
        let data = self.untyped().into_data();
        match data.as_slice::<f32>() {
            Ok(values) => values.to_vec(),
            // A device of another precision.
            Err(_) => data.iter::<f32>().collect(),
        }
    }

    /// The same elements in another shape of the same length.
    pub fn reshape(&self, dims: &[usize]) -> Self {
        if self.dims == dims {
            return self.clone();
        }
        let lies = if dims.is_empty() { &[1] } else { dims };
        Self {
            raw: Ops::float_reshape(self.raw.clone(), Shape::from(lies.to_vec())),
            dims: dims.to_vec(),
        }
    }

    /// Axis `i` of the result is axis `order[i]` of this.
    pub fn permute(&self, order: &[usize]) -> Self {
        if order.iter().copied().eq(0..order.len()) {
            return self.clone();
        }
        Self::from_raw(Ops::float_permute(self.raw.clone(), order))
    }

    /// Repeats axes of extent 1; `dims` has the same rank.
    pub fn expand(&self, dims: &[usize]) -> Self {
        if self.dims == dims {
            return self.clone();
        }
        Self::from_raw(Ops::float_expand(
            self.raw.clone(),
            Shape::from(dims.to_vec()),
        ))
    }

    /// Side by side along `axis`.
    pub fn concat(parts: Vec<Self>, axis: usize) -> Self {
        let raws = parts.into_iter().map(|part| part.raw).collect();
        Self::from_raw(Ops::float_cat(raws, axis))
    }

    /// Positions `range` of `axis`.
    pub fn narrow(&self, axis: usize, range: std::ops::Range<usize>) -> Self {
        if range == (0..self.dims[axis]) {
            return self.clone();
        }
        let whole = self.dims.iter().map(|&size| Slice::from(0..size));
        let mut slices: Vec<Slice> = whole.collect();
        slices[axis] = Slice::from(range);
        Self::from_raw(Ops::float_slice(self.raw.clone(), &slices))
    }

    /// Matrix product of the last two axes; the others are equal.
    pub fn matmul(&self, other: &Self) -> Self {
        Self::from_raw(Ops::float_matmul(self.raw.clone(), other.raw.clone()))
    }

    /// The same values without a history.
    pub fn detach(&self) -> Self {
        Self {
            raw: Ops::float_detach(self.raw.clone()),
            dims: self.dims.clone(),
        }
    }
}

macro_rules! elementwise {
    ($($(#[$doc:meta])* $name:ident = $op:ident;)*) => {
        impl Dense {
            $($(#[$doc])* pub fn $name(&self) -> Self {
                Self { raw: Ops::$op(self.raw.clone()), dims: self.dims.clone() }
            })*
        }
    };
}

macro_rules! with_scalar {
    ($($(#[$doc:meta])* $name:ident = $op:ident;)*) => {
        impl Dense {
            $($(#[$doc])* pub fn $name(&self, scalar: f32) -> Self {
                Self {
                    raw: Ops::$op(self.raw.clone(), f64::from(scalar).into()),
                    dims: self.dims.clone(),
                }
            })*
        }
    };
}

macro_rules! broadcasting {
    ($($(#[$doc:meta])* $name:ident = $op:ident;)*) => {
        impl Dense {
            $($(#[$doc])* pub fn $name(&self, other: &Self) -> Self {
                Self::from_raw(Ops::$op(self.raw.clone(), other.raw.clone()))
            })*
        }
    };
}

elementwise! {
    /// e^x
    exp = float_exp;
    /// ln x
    log = float_log;
    /// √x
    sqrt = float_sqrt;
    /// |x|
    abs = float_abs;
    /// -x
    neg = float_neg;
    /// 1 / x
    recip = float_recip;
    /// tanh x
    tanh = float_tanh;
    /// erf x
    erf = float_erf;
    /// sin x
    sin = float_sin;
    /// cos x
    cos = float_cos;
    /// tan x
    tan = float_tan;
    /// arcsin x
    asin = float_asin;
    /// arccos x
    acos = float_acos;
    /// arctan x
    atan = float_atan;
    /// sinh x
    sinh = float_sinh;
    /// cosh x
    cosh = float_cosh;
    /// arsinh x
    asinh = float_asinh;
    /// arcosh x
    acosh = float_acosh;
    /// artanh x
    atanh = float_atanh;
    /// -1, 0 or 1; has no gradient.
    sign = float_sign;
    /// Rounded down; has no gradient.
    floor = float_floor;
    /// Rounded up; has no gradient.
    ceil = float_ceil;
    /// Rounded to even; has no gradient.
    round = float_round;
}

with_scalar! {
    /// x + s
    add_scalar = float_add_scalar;
    /// x · s
    mul_scalar = float_mul_scalar;
    /// max(x, s)
    clamp_min = float_clamp_min;
    /// min(x, s)
    clamp_max = float_clamp_max;
}

broadcasting! {
    /// a + b; ranks are equal.
    add = float_add;
    /// a - b; ranks are equal.
    sub = float_sub;
    /// a · b; ranks are equal.
    mul = float_mul;
    /// a / b; ranks are equal.
    div = float_div;
    /// a ^ b; ranks are equal.
    pow = float_powf;
}

impl Dense {
    /// Sum over `axis`, which stays with extent 1.
    pub fn sum(&self, axis: usize) -> Self {
        Self::from_raw(Ops::float_sum_dim(self.raw.clone(), axis))
    }

    /// Mean over `axis`, which stays with extent 1.
    pub fn mean(&self, axis: usize) -> Self {
        Self::from_raw(Ops::float_mean_dim(self.raw.clone(), axis))
    }

    /// Largest value along `axis`, which stays with extent 1.
    pub fn max(&self, axis: usize) -> Self {
        Self::from_raw(Ops::float_max_dim(self.raw.clone(), axis))
    }

    /// `self` where `keep` is not zero, else `other`; shapes are equal.
    pub fn where_mask(&self, keep: &[bool], other: &Self) -> Self {
        let device = self.untyped().device();
        let mask = burn::tensor::Tensor::<1, burn::tensor::Bool>::from_data(
            burn::tensor::TensorData::new(keep.to_vec(), [keep.len()]),
            &device,
        );
        let flat = [keep.len()];
        let (own, other) = (
            self.reshape(&flat).tensor::<1>(),
            other.reshape(&flat).tensor::<1>(),
        );
        Self::from_tensor(other.mask_where(mask, own)).reshape(&self.dims)
    }
}
