//! Names, types and shapes that a file states for its values.

use protobuf::MessageField;

use super::proto::{TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto::Dimension};

/// One extent of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Known.
    Fixed(usize),
    /// Named, such as the batch `N`.
    Named(String),
    /// Not known.
    Unknown,
}

impl Dim {
    /// The extent, where known.
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Self::Fixed(size) => Some(*size),
            _ => None,
        }
    }
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Named(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// Name, type and shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueInfo {
    /// Name.
    pub name: String,
    /// Extents.
    pub shape: Vec<Dim>,
    /// ONNX data type number (1 is float).
    pub elem_type: i32,
    /// False where the file states no shape at all.
    pub has_shape: bool,
}

impl ValueInfo {
    pub(super) fn from_proto(proto: &ValueInfoProto) -> Self {
        let type_ = proto.type_.as_ref().filter(|type_| type_.has_tensor_type());
        let tensor = type_.map(|type_| type_.tensor_type());
        let shape: Option<&TensorShapeProto> = tensor.and_then(|tensor| tensor.shape.as_ref());
        Self {
            name: proto.name().to_string(),
            elem_type: tensor.map_or(0, |tensor| tensor.elem_type()),
            has_shape: shape.is_some(),
            shape: shape
                .map(|shape| shape.dim.iter().map(Dim::from_proto).collect())
                .unwrap_or_default(),
        }
    }
}

impl ValueInfo {
    /// As a message states it.
    pub(super) fn to_proto(&self) -> ValueInfoProto {
        let mut shape = TensorShapeProto::new();
        shape.dim = self.shape.iter().map(Dim::to_proto).collect();
        let mut type_ = TypeProto::new();
        let tensor = type_.mut_tensor_type();
        tensor.set_elem_type(self.elem_type);
        if self.has_shape {
            tensor.shape = MessageField::some(shape);
        }
        let mut proto = ValueInfoProto::new();
        proto.set_name(self.name.clone());
        proto.type_ = MessageField::some(type_);
        proto
    }
}

impl Dim {
    fn to_proto(&self) -> Dimension {
        let mut dim = Dimension::new();
        match self {
            Self::Fixed(size) => dim.set_dim_value(*size as i64),
            Self::Named(name) => dim.set_dim_param(name.clone()),
            Self::Unknown => {}
        }
        dim
    }

    fn from_proto(dim: &Dimension) -> Self {
        if dim.has_dim_value() {
            usize::try_from(dim.dim_value()).map_or(Self::Unknown, Self::Fixed)
        } else if dim.has_dim_param() && !dim.dim_param().is_empty() {
            Self::Named(dim.dim_param().to_string())
        } else {
            Self::Unknown
        }
    }
}
