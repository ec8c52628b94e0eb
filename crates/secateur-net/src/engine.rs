//! Where and by which code a network is computed: one value that is handed down.

use burn::tensor::Device;

/// Device and code of every pass.
///
/// Both kinds compute the same within rounding; the stock one is the reference. Nothing in
/// this crate chooses one by itself.
#[derive(Debug, Clone)]
pub struct Engine {
    device: Device,
    is_fused: bool,
    memory: Option<usize>,
}

impl Engine {
    /// Fused CPU routines, on Burn's CPU device: they run on no other.
    pub fn fused() -> Self {
        Self {
            device: Device::flex(),
            is_fused: true,
            memory: None,
        }
    }

    /// Stock Burn operations on the CPU.
    pub fn stock() -> Self {
        Self::stock_on(Device::flex())
    }

    /// Stock Burn operations on any device.
    pub fn stock_on(device: Device) -> Self {
        Self {
            device,
            is_fused: false,
            memory: None,
        }
    }

    /// The same, whose training passes keep their values within so many bytes where that can be: some
    /// are computed a second time when their gradients are due.
    #[must_use]
    pub fn with_memory(self, bytes: usize) -> Self {
        Self {
            memory: Some(bytes),
            ..self
        }
    }

    /// Bytes that the values of a training pass may take; `None` without a bound.
    pub fn memory(&self) -> Option<usize> {
        self.memory
    }

    /// Stock Burn operations on the same device.
    pub fn to_stock(&self) -> Self {
        Self {
            is_fused: false,
            ..self.clone()
        }
    }

    /// True if fused routines compute.
    pub fn is_fused(&self) -> bool {
        self.is_fused
    }

    /// Where the tensors of inference lie.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The same place with a gradient tape.
    pub fn training_device(&self) -> Device {
        self.device.clone().autodiff()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::fused()
    }
}
