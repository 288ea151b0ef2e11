//! The best classes, without the scores of all of them in memory.

use super::super::gemm::{Gemm, Rows};
use super::super::program::Head;
use super::super::rows::{Best, Look};
use super::super::threads::{Shared, each, with_scratch};
use super::Run;

/// Scores that are looked at in one go; with the rows of a line they stay in L2.
const HEAD_COLUMNS: usize = 512;

impl Run<'_> {
    /// The best class of each step, and the score of the last class.
    ///
    /// # Safety
    /// As for `steps`, after them.
    pub(in crate::cpu) unsafe fn best(&self, head: &Head) -> (Vec<Best>, Vec<f32>) {
        let panels = &head.weights;
        let rows = head.rows;
        let input = Shared::new(self.read(head.input));
        let chunks: Vec<(Vec<Best>, Vec<f32>)> = {
            let slots: Vec<_> = (0..panels.n().div_ceil(HEAD_COLUMNS))
                .map(|_| std::sync::OnceLock::new())
                .collect();
            each(slots.len(), |chunk| {
                let first = chunk * HEAD_COLUMNS;
                let cols = HEAD_COLUMNS.min(panels.n() - first);
                let mut best = vec![Best::NONE; rows.count];
                let mut last = Vec::new();
                with_scratch(|scratch| {
                    scratch.reserve(rows.count * cols);
                    let scores = scratch.as_mut_ptr();
                    let gemm = Gemm {
                        rows: Rows::plain(input.get(), rows.pitch, panels.k()),
                        m: rows.count,
                        matrix: panels.columns(first, cols),
                        c: scores,
                        c_pitch: cols,
                        residual: std::ptr::null(),
                        residual_pitch: 0,
                        relu: false,
                    };
                    // SAFETY: the program's sizes and places; the scratch has room for the scores.
                    unsafe {
                        self.isa.run(gemm);
                        self.isa.run(Look {
                            scores,
                            pitch: cols,
                            cols,
                            first,
                            best: &mut best,
                        });
                        if first + cols == panels.n() {
                            last = (0..rows.count)
                                .map(|row| *scores.add(row * cols + cols - 1))
                                .collect();
                        }
                    }
                });
                // Each slot is set by its own task, once.
                let _ = slots[chunk].set((best, last));
            });
            slots.into_iter().filter_map(|s| s.into_inner()).collect()
        };
        let mut all = vec![Best::NONE; rows.count];
        let mut last = Vec::new();
        for (best, scores) in chunks {
            for (all, best) in all.iter_mut().zip(best) {
                *all = all.and(best);
            }
            last = scores;
        }
        (all, last)
    }
}
