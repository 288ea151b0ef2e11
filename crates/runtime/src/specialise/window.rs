//! Windows over pictures, parts of tensors, and pictures of another size.

use super::operands::{At, axis, elements, picture};
use crate::graph::{Constant, Node, Op, Padding, Window};

/// The padding of a window over `[height, width]`, and the size of what it makes.
pub(super) fn slide(window: &Window, size: [usize; 2]) -> Result<([usize; 4], [usize; 2]), String> {
    let mut pads = [0; 4];
    let mut out = [0; 2];
    for i in 0..2 {
        let reach = window.dilations[i]
            .checked_mul(window.kernel[i] - 1)
            .and_then(|r| r.checked_add(1))
            .ok_or("too large a window")?;
        let stride = window.strides[i];
        let (before, after) = match window.padding {
            Padding::Explicit(p) => (p[i], p[i + 2]),
            same => {
                let wanted = (size[i].div_ceil(stride).saturating_sub(1) * stride + reach)
                    .saturating_sub(size[i]);
                let less = wanted / 2;
                if same == Padding::SameUpper {
                    (less, wanted - less)
                } else {
                    (wanted - less, less)
                }
            }
        };
        let padded = size[i].saturating_add(before).saturating_add(after);
        if padded < reach {
            return Err(format!("a window of {reach} over {padded} pixels"));
        }
        (pads[i], pads[i + 2]) = (before, after);
        out[i] = (padded - reach) / stride + 1;
    }
    Ok((pads, out))
}

/// The part that a `Split` is, and its shape.
pub(super) fn split<'a>(node: &Node, at: &At<'a>) -> Result<(Vec<[usize; 3]>, Vec<usize>), String> {
    let Op::Split {
        axis: along,
        part,
        parts,
    } = node.op
    else {
        return Err("not a split".into());
    };
    let (shape, _) = at(0).ok_or("no operand")?;
    let along = axis(along, shape.len())?;
    let size = shape[along];
    let [start, end] = match at(1) {
        Some((_, sizes)) => {
            let sizes = sizes
                .and_then(Constant::as_i64)
                .ok_or("its parts are not constant")?;
            let sizes = sizes
                .iter()
                .map(|&s| usize::try_from(s).ok())
                .collect::<Option<Vec<_>>>()
                .filter(|sizes| sizes.len() == parts)
                .ok_or_else(|| format!("parts of {sizes:?}, {parts} expected"))?;
            let sum = |sizes: &[usize]| {
                let all = sizes.iter().try_fold(0usize, |n, &s| n.checked_add(s));
                all.ok_or("too large")
            };
            if sum(&sizes)? != size {
                return Err(format!("parts of {sizes:?} of {size}"));
            }
            let start = sum(&sizes[..part])?;
            [start, start + sizes[part]]
        }
        None => {
            // The last one may be smaller, since version 18.
            let each = size.div_ceil(parts);
            [each * part, (each * (part + 1)).min(size)]
        }
    };
    if start >= end {
        return Err(format!("part {part} of {size} in {parts} is empty"));
    }
    let mut ranges: Vec<[usize; 3]> = shape.iter().map(|&d| [0, d, 1]).collect();
    ranges[along] = [start, end, 1];
    let mut to = shape.to_vec();
    to[along] = end - start;
    Ok((ranges, to))
}

/// A picture made larger or smaller, and its shape.
pub(super) fn resize(shape: &[usize], sizes: &[i64]) -> Result<(Op, Vec<usize>), String> {
    let to = sizes
        .iter()
        .map(|&s| usize::try_from(s).ok().filter(|&s| s > 0))
        .collect::<Option<Vec<_>>>()
        .filter(|to| to.len() == shape.len() && elements(to).is_some())
        .ok_or_else(|| format!("sizes {sizes:?} for {shape:?}"))?;
    if to.iter().zip(shape).all(|(t, s)| t % s == 0) {
        let factors = to.iter().zip(shape).map(|(t, s)| t / s).collect();
        return Ok((Op::Upsample(factors), to));
    }
    let [n, c, h, w] = picture(shape)?;
    let &[to_n, to_c, to_h, to_w] = to.as_slice() else {
        return Err("sizes of another rank".into());
    };
    if [to_n, to_c] != [n, c] {
        return Err(format!("{shape:?} to {to:?}; only pictures are resized"));
    }
    // Floats as in ONNX Runtime: integers would give another pixel where they round across one.
    let nearest = |from: usize, to: usize| {
        let scale = to as f32 / from as f32;
        let at = |i: usize| ((i as f32 / scale) as usize).min(from - 1);
        (0..to).map(at).collect()
    };
    let op = Op::Nearest {
        rows: nearest(h, to_h),
        columns: nearest(w, to_w),
    };
    Ok((op, to))
}
