use crate::RuntimeError;

/// A dense `f32` tensor in host memory, row-major (for pictures: NCHW).
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Tensor {
    /// Takes `data` as a tensor of `shape`; an error when their sizes differ.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Self, RuntimeError> {
        let shape = shape.into();
        let wanted = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if wanted != Some(data.len()) {
            return Err(RuntimeError::Input {
                reason: format!("it has {} elements", data.len()),
                shape,
            });
        }
        Ok(Self { shape, data })
    }

    /// A tensor of zeros.
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        let data = vec![0.0; shape.iter().product()];
        Self { shape, data }
    }

    /// Sizes of the dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in row-major order.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The elements in row-major order, to be written.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The elements, without a copy.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }
}
