//! Places the values of a run in one arena, so that those which are never needed at the same time share memory.

/// A value of `len` floats that is needed from step `first` to step `last`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    pub(super) len: usize,
    pub(super) first: usize,
    pub(super) last: usize,
}

/// Offsets of the values, and how many floats the arena needs.
///
/// The largest value first, each at the lowest place that is free for as long as it is needed.
pub(super) fn arrange(lifetimes: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lifetimes[i].len), lifetimes[i].first));
    let mut offsets = vec![0; lifetimes.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0;
    for index in order {
        let life = lifetimes[index];
        // Whole cache lines keep every value aligned, and one more keeps neighbours' sets apart.
        let len = life.len.next_multiple_of(16) + 16;
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| {
                lifetimes[other].first <= life.last && life.first <= lifetimes[other].last
            })
            .map(|&other| {
                let len = lifetimes[other].len.next_multiple_of(16) + 16;
                (offsets[other], offsets[other] + len)
            })
            .collect();
        taken.sort_unstable();
        let mut at = 0;
        for (start, end) in taken {
            if at + len <= start {
                break;
            }
            at = at.max(end);
        }
        offsets[index] = at;
        total = total.max(at + len);
        placed.push(index);
    }
    (offsets, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_takes_the_place_of_one_that_is_done() {
        let life = |len, first, last| Lifetime { len, first, last };
        let (offsets, total) = arrange(&[life(160, 0, 1), life(160, 1, 2), life(160, 2, 3)]);
        assert_eq!(offsets[0], offsets[2]);
        assert_eq!(total, 2 * 176);
    }

    proptest! {
        #[test]
        fn values_needed_at_once_never_overlap(
            lives in prop::collection::vec((1usize..500, 0usize..20, 0usize..6), 1..40)
        ) {
            let lives: Vec<Lifetime> = lives
                .into_iter()
                .map(|(len, first, more)| Lifetime { len, first, last: first + more })
                .collect();
            let (offsets, total) = arrange(&lives);
            for (i, a) in lives.iter().enumerate() {
                prop_assert!(offsets[i] + a.len <= total);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = offsets[i] + a.len <= offsets[j] || offsets[j] + b.len <= offsets[i];
                    prop_assert!(!together || apart);
                }
            }
        }
    }
}
