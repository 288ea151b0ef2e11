//! What shapes and host integers say about a node's operands.

use crate::graph::Constant;

/// A value of more elements (2 GiB of floats) is a hostile file's or a mistake.
const MAX_ELEMENTS: usize = 1 << 29;

/// The shape of an operand, and its value where it is a constant.
pub(super) type At<'a> = dyn Fn(usize) -> Option<(&'a [usize], Option<&'a Constant>)> + 'a;

/// How many elements there are, unless they are too many.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .filter(|&n| n <= MAX_ELEMENTS)
}

/// `axis` counted from the front.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let rank_i = rank as i64;
    if !(-rank_i..rank_i).contains(&axis) {
        return Err(format!("axis {axis} of a tensor of rank {rank}"));
    }
    Ok(if axis < 0 { axis + rank_i } else { axis } as usize)
}

/// Start, end and step of `Slice` along every axis of its operand.
pub(super) fn slices<'a>(at: &At<'a>) -> Result<Vec<[usize; 3]>, String> {
    let (shape, _) = at(0).ok_or("no operand")?;
    let list = |index: usize| -> Result<Option<&'a [i64]>, String> {
        match at(index) {
            None => Ok(None),
            Some((_, c)) => Ok(Some(
                c.and_then(Constant::as_i64)
                    .ok_or("its bounds are not constant")?,
            )),
        }
    };
    let starts = list(1)?.ok_or("no starts")?;
    let ends = list(2)?.ok_or("no ends")?;
    let axes = list(3)?;
    let steps = list(4)?;
    let mut ranges: Vec<[usize; 3]> = shape.iter().map(|&d| [0, d, 1]).collect();
    if ends.len() != starts.len()
        || axes.is_some_and(|a| a.len() != starts.len())
        || steps.is_some_and(|s| s.len() != starts.len())
        || starts.len() > shape.len()
    {
        return Err("bounds of different lengths".into());
    }
    for (i, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let along = axis(axes.map_or(i as i64, |a| a[i]), shape.len())?;
        let size = shape[along] as i64;
        let step = steps.map_or(1, |s| s[i]);
        if !(1..=i64::from(u32::MAX)).contains(&step) {
            return Err(format!("a step of {step}"));
        }
        let clamp =
            |v: i64| (if v < 0 { v.saturating_add(size) } else { v }).clamp(0, size) as usize;
        ranges[along] = [clamp(start), clamp(end), step as usize];
    }
    Ok(ranges)
}

pub(super) fn picture(shape: &[usize]) -> Result<[usize; 4], String> {
    shape
        .try_into()
        .map_err(|_| format!("a tensor of shape {shape:?} where a picture is needed"))
}

pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| {
        if i + s.len() >= rank {
            s[i + s.len() - rank]
        } else {
            1
        }
    };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(format!("shapes {a:?} and {b:?} don't broadcast")),
        })
        .collect()
}
