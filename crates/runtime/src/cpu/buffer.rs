//! Memory whose start suits every vector.

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Floats, aligned to 64 bytes.
#[derive(Clone, Default)]
pub(super) struct Buffer {
    lines: Vec<Line>,
}

impl Buffer {
    /// `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        Self {
            lines: vec![Line([0.0; 16]); len.div_ceil(16)],
        }
    }

    /// Makes room for `len` floats; what was there is lost.
    pub(super) fn reserve(&mut self, len: usize) {
        if self.lines.len() * 16 < len {
            // The old memory goes first: both at once would be the peak of a run.
            self.lines = Vec::new();
            *self = Self::zeros(len);
        }
    }

    /// How many floats fit.
    pub(super) fn capacity(&self) -> usize {
        self.lines.len() * 16
    }

    pub(super) fn as_ptr(&self) -> *const f32 {
        self.lines.as_ptr().cast()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.lines.as_mut_ptr().cast()
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: a line is 16 floats without padding.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.capacity()) }
    }
}
