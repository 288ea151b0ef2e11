//! Where a value lies: a buffer, an offset and a stride for each axis. Transposes, slices and most reshapes are only
//! other strides over the same memory.

use super::elementwise::{Axis, collapse};

/// Names a buffer of a plan.
pub(super) type BufferId = usize;

/// A tensor in a buffer; sizes and strides in floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) buffer: BufferId,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A view as a matrix: `count` rows of `cols` floats that lie side by side, `pitch` floats apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matrix {
    pub(super) count: usize,
    pub(super) cols: usize,
    pub(super) pitch: usize,
}

/// A view of rank 4 as pictures whose pixels' channels lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pictures {
    pub(super) count: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    /// Floats from a pixel to the next one.
    pub(super) pitch: usize,
    pub(super) row_pitch: usize,
    pub(super) picture_pitch: usize,
}

/// Strides of a dense tensor whose axes lie in memory in this order, outermost first.
fn dense(shape: &[usize], order: impl DoubleEndedIterator<Item = usize>) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    let mut step = 1;
    for axis in order.rev() {
        strides[axis] = step;
        step *= shape[axis];
    }
    strides
}

impl View {
    /// A dense tensor in the order of its axes.
    pub(super) fn row_major(buffer: BufferId, shape: &[usize]) -> Self {
        Self {
            buffer,
            offset: 0,
            strides: dense(shape, 0..shape.len()),
            shape: shape.to_vec(),
        }
    }

    /// A dense tensor with its channels (axis 1) innermost: NHWC for a picture.
    pub(super) fn channels_last(buffer: BufferId, shape: &[usize]) -> Self {
        let order: Vec<usize> = [0].into_iter().chain(2..shape.len()).chain([1]).collect();
        Self {
            buffer,
            offset: 0,
            strides: dense(shape, order.into_iter()),
            shape: shape.to_vec(),
        }
    }

    /// A dense tensor with this axis innermost.
    pub(super) fn innermost(buffer: BufferId, shape: &[usize], axis: usize) -> Self {
        let others = (0..shape.len()).filter(|&a| a != axis).chain([axis]);
        let order: Vec<usize> = others.collect();
        Self {
            buffer,
            offset: 0,
            strides: dense(shape, order.into_iter()),
            shape: shape.to_vec(),
        }
    }

    /// A dense tensor whose axes lie in memory in the order of this one's.
    pub(super) fn like(&self, buffer: BufferId) -> Self {
        let mut order: Vec<usize> = (0..self.shape.len()).collect();
        order.sort_by_key(|&axis| std::cmp::Reverse(self.strides[axis]));
        Self {
            buffer,
            offset: 0,
            strides: dense(&self.shape, order.into_iter()),
            shape: self.shape.clone(),
        }
    }

    pub(super) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the elements fill one run of memory, in whatever order.
    pub(super) fn is_dense(&self) -> bool {
        let mut axes: Vec<usize> = (0..self.shape.len()).collect();
        axes.retain(|&axis| self.shape[axis] != 1);
        axes.sort_by_key(|&axis| self.strides[axis]);
        let mut step = 1;
        axes.iter().all(|&axis| {
            let fits = self.strides[axis] == step;
            step *= self.shape[axis];
            fits
        })
    }

    pub(super) fn transpose(&self, order: &[usize]) -> Self {
        Self {
            shape: order.iter().map(|&axis| self.shape[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
            ..self.clone()
        }
    }

    /// Start, end and step along each axis.
    pub(super) fn crop(&self, ranges: &[[usize; 3]]) -> Self {
        let mut to = self.clone();
        for (axis, [start, end, step]) in ranges.iter().enumerate() {
            to.offset += start * self.strides[axis];
            to.shape[axis] = (end - start).div_ceil(*step);
            to.strides[axis] *= step;
        }
        to
    }

    /// The same elements in the same order under another shape; `None` where that takes a copy.
    pub(super) fn reshape(&self, shape: &[usize]) -> Option<Self> {
        // Both shapes are split into the shortest groups of axes with as many elements; within a group the memory
        // must be one run of equal steps.
        let (mut from, mut to) = (0, 0);
        let mut strides = vec![0; shape.len()];
        let old: Vec<usize> = (0..self.shape.len())
            .filter(|&axis| self.shape[axis] != 1)
            .collect();
        let new: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
        while from < old.len() && to < new.len() {
            let (start, first) = (from, to);
            let (mut a, mut b) = (self.shape[old[from]], shape[new[to]]);
            while a != b {
                if a < b {
                    from += 1;
                    a *= self.shape[*old.get(from)?];
                } else {
                    to += 1;
                    b *= shape[*new.get(to)?];
                }
            }
            for pair in old[start..=from].windows(2) {
                if self.strides[pair[0]] != self.strides[pair[1]] * self.shape[pair[1]] {
                    return None;
                }
            }
            let mut step = self.strides[old[from]];
            for &axis in new[first..=to].iter().rev() {
                strides[axis] = step;
                step *= shape[axis];
            }
            from += 1;
            to += 1;
        }
        Some(Self {
            buffer: self.buffer,
            offset: self.offset,
            shape: shape.to_vec(),
            strides,
        })
    }

    /// As rows along `inner`, the other axes in their order.
    pub(super) fn matrix(&self, inner: usize) -> Option<Matrix> {
        let cols = self.shape[inner];
        if cols != 1 && self.strides[inner] != 1 {
            return None;
        }
        let outer: Vec<usize> = (0..self.shape.len())
            .filter(|&axis| axis != inner && self.shape[axis] != 1)
            .collect();
        for pair in outer.windows(2) {
            if self.strides[pair[0]] != self.strides[pair[1]] * self.shape[pair[1]] {
                return None;
            }
        }
        Some(Matrix {
            count: outer.iter().map(|&axis| self.shape[axis]).product(),
            cols,
            pitch: outer.last().map_or(cols, |&axis| self.strides[axis]),
        })
    }

    /// As pictures, where the rank is 4 and the channels lie side by side.
    pub(super) fn pictures(&self) -> Option<Pictures> {
        let &[count, channels, height, width] = self.shape.as_slice() else {
            return None;
        };
        if channels != 1 && self.strides[1] != 1 {
            return None;
        }
        // The stride of an axis of size 1 means nothing; a kernel takes it for a distance.
        let pitch = if width == 1 {
            channels
        } else {
            self.strides[3]
        };
        let row_pitch = if height == 1 {
            pitch * width
        } else {
            self.strides[2]
        };
        Some(Pictures {
            count,
            height,
            width,
            channels,
            pitch,
            row_pitch,
            picture_pitch: if count == 1 { 0 } else { self.strides[0] },
        })
    }

    /// Strides of this tensor where it is broadcast to `shape`.
    pub(super) fn broadcast(&self, shape: &[usize]) -> Vec<usize> {
        let missing = shape.len() - self.shape.len();
        (0..shape.len())
            .map(|axis| match axis.checked_sub(missing) {
                Some(own) if self.shape[own] != 1 => self.strides[own],
                _ => 0,
            })
            .collect()
    }

    /// The axes of an elementwise kernel that writes this view.
    pub(super) fn axes(&self, a: &[usize], b: &[usize]) -> Vec<Axis> {
        let axes = (0..self.shape.len()).map(|axis| Axis {
            size: self.shape[axis],
            output: self.strides[axis],
            a: a[axis],
            b: b[axis],
        });
        collapse(axes.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_one_row_is_a_matrix_of_pixels() {
        // [1, 120, 1, 40] with channels innermost, as [1, 120, 40], transposed to [1, 40, 120].
        let picture = View::channels_last(0, &[1, 120, 1, 40]);
        let flat = picture.reshape(&[1, 120, 40]).unwrap();
        let tokens = flat.transpose(&[0, 2, 1]);
        let rows = Matrix {
            count: 40,
            cols: 120,
            pitch: 120,
        };
        assert_eq!(tokens.matrix(2), Some(rows));
        assert!(tokens.is_dense());
    }

    #[test]
    fn a_reshape_across_the_order_of_memory_takes_a_copy() {
        let picture = View::channels_last(0, &[1, 6, 2, 2]);
        assert_eq!(picture.reshape(&[1, 24]), None);
        assert_eq!(picture.reshape(&[1, 6, 4]).unwrap().strides[1..], [1, 6]);
        let heads = View::row_major(0, &[1, 40, 360]).reshape(&[1, 40, 3, 8, 15]);
        assert_eq!(heads.unwrap().strides[1..], [360, 120, 15, 1]);
    }

    #[test]
    fn a_crop_moves_and_strides() {
        let view = View::row_major(0, &[4, 10]).crop(&[[1, 3, 1], [2, 9, 3]]);
        assert_eq!((view.offset, &view.shape[..]), (12, &[2, 3][..]));
        assert_eq!(view.strides, [10, 3]);
        assert!(!view.is_dense());
    }
}
