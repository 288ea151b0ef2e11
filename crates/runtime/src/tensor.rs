use crate::RuntimeError;

/// The order in which a tensor's elements lie in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// In the order of its axes: NCHW for pictures.
    #[default]
    RowMajor,
    /// A picture's channels side by side: NHWC, though the shape is still `[N, C, H, W]`.
    ChannelsLast,
}

/// A dense `f32` tensor in host memory.
///
/// Sessions take pictures in either [`Layout`] and give row-major tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    layout: Layout,
    data: Vec<f32>,
}

impl Tensor {
    /// Takes `data` as a row-major tensor of `shape`; an error when their sizes differ.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Self, RuntimeError> {
        Self::of(shape.into(), Layout::RowMajor, data)
    }

    /// Takes `data`, which lies as `[N, H, W, C]`, as pictures of the shape `[N, C, H, W]`; an error when their sizes
    /// differ.
    pub fn channels_last(shape: [usize; 4], data: Vec<f32>) -> Result<Self, RuntimeError> {
        Self::of(shape.to_vec(), Layout::ChannelsLast, data)
    }

    fn of(shape: Vec<usize>, layout: Layout, data: Vec<f32>) -> Result<Self, RuntimeError> {
        let wanted = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if wanted != Some(data.len()) {
            return Err(RuntimeError::Input {
                reason: format!("it has {} elements", data.len()),
                shape,
            });
        }
        Ok(Self {
            shape,
            layout,
            data,
        })
    }

    /// A row-major tensor of zeros.
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        let data = vec![0.0; shape.iter().product()];
        Self {
            shape,
            layout: Layout::RowMajor,
            data,
        }
    }

    /// Sizes of the dimensions, outermost first, whatever the layout: `[N, C, H, W]` for pictures.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How the elements lie.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The elements as they lie.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The elements as they lie, to be written.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The elements as they lie, without a copy.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// The same tensor in the order of its axes; a copy where it lies otherwise.
    pub fn into_row_major(self) -> Self {
        let (Layout::ChannelsLast, &[n, c, h, w]) = (self.layout, self.shape.as_slice()) else {
            return self;
        };
        let mut data = Vec::with_capacity(self.data.len());
        let pixels = h * w;
        for picture in 0..n {
            let picture = &self.data[picture * pixels * c..][..pixels * c];
            for channel in 0..c {
                data.extend(picture.iter().skip(channel).step_by(c));
            }
        }
        Self {
            shape: self.shape,
            layout: Layout::RowMajor,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_become_planes() {
        let pixels: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let tensor = Tensor::channels_last([2, 3, 2, 2], pixels.clone()).unwrap();
        assert_eq!(tensor.layout(), Layout::ChannelsLast);
        assert_eq!(tensor.data(), pixels);
        let planes = tensor.into_row_major();
        assert_eq!(planes.layout(), Layout::RowMajor);
        assert_eq!(planes.shape(), [2, 3, 2, 2]);
        assert_eq!(
            planes.data()[..12],
            [0., 3., 6., 9., 1., 4., 7., 10., 2., 5., 8., 11.]
        );
        assert_eq!(planes.data()[12..16], [12., 15., 18., 21.]);
        assert_eq!(planes.clone().into_row_major(), planes);
    }

    #[test]
    fn sizes_that_differ_are_an_error() {
        assert!(Tensor::new([2, 2], vec![0.0; 3]).is_err());
        assert!(Tensor::channels_last([1, 3, 2, 2], vec![0.0; 11]).is_err());
    }
}
