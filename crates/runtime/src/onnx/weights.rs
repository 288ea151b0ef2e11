//! How weights are stored: integers with a scale, halves with a cast. They become floats when a file is loaded, since
//! convolutions want constant weights.

use super::node::Reader;
use super::proto::data_type;
use crate::graph::{Constant, Data};

impl Reader<'_> {
    /// The floats that stored integers stand for: `(x - zero point) * scale`, one for all or one for each index along an
    /// axis. Files are smaller by it; the arithmetic stays that of floats.
    pub(super) fn dequantised(&self) -> Result<Constant, String> {
        let stored = self
            .constant(0)
            .ok_or("only stored weights are supported")?;
        let values = stored.as_i64().ok_or("its weights are floats already")?;
        let scale = self.constant(1).ok_or("its scale is not constant")?;
        let scales = scale.as_f32().ok_or("its scale is no float")?;
        let zeros = match (self.inputs.get(2).copied().flatten(), self.constant(2)) {
            (None, _) => None,
            (Some(_), zero) => Some(
                zero.and_then(Constant::as_i64)
                    .filter(|z| z.len() == scales.len())
                    .ok_or("its zero point is not constant, or not as long as its scale")?,
            ),
        };
        if self.int("block_size", 0) != 0 {
            return Err("blocks are not supported".into());
        }
        // How many values lie between two that differ by one along the axis.
        let run = if scale.shape.is_empty() || scale.shape == [1] {
            stored.len().max(1)
        } else {
            let rank = stored.shape.len() as i64;
            let axis = self.int("axis", 1);
            let axis = if axis < 0 { axis + rank } else { axis };
            let along = usize::try_from(axis)
                .ok()
                .filter(|&a| a < stored.shape.len());
            let along = along.ok_or_else(|| format!("axis {axis}"))?;
            if scale.shape != [stored.shape[along]] || scales.is_empty() {
                return Err(format!("a scale of shape {:?}", scale.shape));
            }
            stored.shape[along + 1..].iter().product::<usize>().max(1)
        };
        let data = values
            .iter()
            .enumerate()
            .map(|(i, &value)| {
                let at = i / run % scales.len();
                value.saturating_sub(zeros.map_or(0, |z| z[at])) as f32 * scales[at]
            })
            .collect();
        Ok(Constant::f32(stored.shape.clone(), data))
    }

    /// Stored numbers as floats or as integers, which are `f32` and `i64` here, whatever the file asks for.
    pub(super) fn cast(&self) -> Result<Option<Constant>, String> {
        let to = self.int("to", 0);
        let Some(stored) = self.constant(0) else {
            return Ok(None);
        };
        let shape = stored.shape.clone();
        Ok(Some(match (&stored.data, to) {
            (Data::I64(values), data_type::FLOAT) => {
                Constant::f32(shape, values.iter().map(|&v| v as f32).collect())
            }
            (Data::F32(values), data_type::INT32 | data_type::INT64) => Constant {
                shape,
                data: Data::I64(values.iter().map(|&v| v as i64).collect()),
            },
            (Data::F32(_), data_type::FLOAT)
            | (Data::I64(_), data_type::INT32 | data_type::INT64) => stored.clone(),
            _ => return Err(format!("casting to data type {to} is not supported")),
        }))
    }
}
