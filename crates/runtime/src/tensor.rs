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
    /// Takes `data` as a row-major tensor of `shape`.
    ///
    /// # Errors
    /// [`RuntimeError::Input`] when their sizes differ.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Self, RuntimeError> {
        Self::of(shape.into(), Layout::RowMajor, data)
    }

    /// Takes `data`, which lies as `[N, H, W, C]`, as pictures of the shape `[N, C, H, W]`.
    ///
    /// # Errors
    /// [`RuntimeError::Input`] when their sizes differ.
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

    /// Tensors one after the other along the first axis.
    ///
    /// # Errors
    /// [`RuntimeError::Input`] when there are none, or when their other sizes or their layouts differ.
    pub fn concat(tensors: impl IntoIterator<Item = Self>) -> Result<Self, RuntimeError> {
        let mut tensors = tensors.into_iter();
        let error = |shape: &[usize], reason: &str| RuntimeError::Input {
            shape: shape.to_vec(),
            reason: reason.into(),
        };
        let mut all = tensors
            .next()
            .filter(|first| !first.shape.is_empty())
            .ok_or_else(|| error(&[], "there is nothing to put together"))?;
        for next in tensors {
            if next.shape.get(1..) != Some(&all.shape[1..]) || next.layout != all.layout {
                return Err(error(&next.shape, "it doesn't go with the one before it"));
            }
            all.shape[0] += next.shape[0];
            all.data.extend_from_slice(&next.data);
        }
        Ok(all)
    }

    /// Tensors of `rows` along the first axis, the last one of what is left, in the same layout: what
    /// [`concat`](Self::concat) puts together again.
    ///
    /// # Errors
    /// [`RuntimeError::Input`] where that axis, or `rows`, is 0.
    pub fn chunks(&self, rows: usize) -> Result<Vec<Self>, RuntimeError> {
        let all = self.shape.first().copied().unwrap_or(0);
        if all == 0 || rows == 0 {
            return Err(RuntimeError::Input {
                shape: self.shape.clone(),
                reason: "there is nothing to take apart".into(),
            });
        }
        let row = self.data.len() / all;
        let parts = self.data.chunks(rows * row).map(|data| {
            let mut shape = self.shape.clone();
            shape[0] = data.len() / row;
            Self::of(shape, self.layout, data.to_vec())
        });
        parts.collect()
    }

    /// A row-major tensor of zeros.
    ///
    /// # Panics
    /// Where the shape has more elements than memory can hold.
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
    fn pictures_are_put_together_as_they_lie() {
        let picture = |n: usize| Tensor::channels_last([n, 3, 1, 2], vec![n as f32; n * 6]);
        let both = Tensor::concat([picture(1).unwrap(), picture(2).unwrap()]).unwrap();
        assert_eq!(both.shape(), [3, 3, 1, 2]);
        assert_eq!(both.layout(), Layout::ChannelsLast);
        assert_eq!(both.data()[4..8], [1., 1., 2., 2.]);
        let parts = both.chunks(2).unwrap();
        assert_eq!(
            parts.iter().map(|p| p.shape()[0]).collect::<Vec<_>>(),
            [2, 1]
        );
        assert_eq!(Tensor::concat(parts).unwrap(), both);
        assert!(both.chunks(0).is_err() && Tensor::zeros([0, 2]).chunks(1).is_err());
        for other in [Tensor::zeros([1, 3, 1, 2]), Tensor::zeros([1, 3, 2, 1])] {
            assert!(Tensor::concat([picture(1).unwrap(), other]).is_err());
        }
        assert!(Tensor::concat([Tensor::zeros([1, 2]), Tensor::zeros([])]).is_err());
        assert!(Tensor::concat([]).is_err());
    }

    #[test]
    fn sizes_that_differ_are_an_error() {
        assert!(Tensor::new([2, 2], vec![0.0; 3]).is_err());
        assert!(Tensor::channels_last([1, 3, 2, 2], vec![0.0; 11]).is_err());
    }
}
