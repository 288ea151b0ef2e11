//! Convolutions over windows.

use super::super::step::{AnyConv, ByDefinition, PicturesAt, Step};
use super::super::view::View;
use super::super::weights::Packed;
use super::Lowering;
use crate::RuntimeError;
use crate::graph::{Node, Op};

impl Lowering<'_> {
    /// A convolution that is more than a product of pixels.
    pub(super) fn conv(&mut self, node: &Node) -> Result<(), RuntimeError> {
        let (Op::Conv { window, .. } | Op::ConvTranspose { window, .. }) = &node.op else {
            return Err(node.unsupported("not a convolution"));
        };
        let packed = match self.weights.get(&node.output) {
            // Blocks are written whole rows at a time, not where a concatenation wants them.
            Some(Packed::Blocks(_)) if self.targets.contains_key(&node.output) => None,
            packed => packed.cloned(),
        };
        let Some(packed) = packed else {
            return self.conv_by_definition(node);
        };
        let (window, activation) = (*window, Self::activation(node));
        let input = self.operand(node, 0)?;
        let shape = self.shapes[node.output].clone();
        let (input, from) = self.as_pictures(node, input)?;
        let output = self.output(node.output, |b| View::channels_last(b, &shape));
        let to = output
            .pictures()
            .ok_or_else(|| node.unsupported("its output is not a picture"))?;
        let pictures = PicturesAt {
            input: self.read(&input),
            from,
            output: self.read(&output),
            to,
        };
        self.steps.push(match packed {
            Packed::Dense(weights) => Step::Dense {
                pictures,
                weights,
                window,
                activation,
            },
            Packed::Depthwise(weights) => Step::Depthwise {
                pictures,
                weights,
                window,
                activation,
            },
            Packed::Blocks(weights) => Step::Transposed {
                pictures,
                weights,
                window,
                activation,
            },
            Packed::Product(_) => return Err(node.unsupported("a product is no window")),
        });
        Ok(())
    }

    /// A convolution that no kernel is made for: in groups, dilated, with weights that are no constants.
    fn conv_by_definition(&mut self, node: &Node) -> Result<(), RuntimeError> {
        let (window, groups, transposed) = match &node.op {
            Op::Conv { window, groups, .. } => (*window, *groups, false),
            Op::ConvTranspose { window, groups, .. } => (*window, *groups, true),
            _ => return Err(node.unsupported("not a convolution")),
        };
        let input = self.operand(node, 0)?;
        let shape = self.shapes[node.output].clone();
        let activation = Self::activation(node);
        let weights = self.operand(node, 1)?;
        let bias = node.input(2).map(|_| self.operand(node, 2)).transpose()?;
        if let Some(bias) = &bias
            && (bias.shape.len() != 1 || bias.shape[0] != shape[1])
        {
            return Err(node.unsupported("a bias of another size"));
        }
        let inputs = input.shape[1];
        let [kh, kw] = window.kernel;
        let wanted = match transposed {
            false => [shape[1], inputs / groups, kh, kw],
            true => [inputs, shape[1] / groups, kh, kw],
        };
        let whole = inputs.is_multiple_of(groups) && shape[1].is_multiple_of(groups);
        if weights.shape != wanted || !whole {
            return Err(node.unsupported(format!(
                "weights of shape {:?} where {wanted:?} fits",
                weights.shape
            )));
        }
        let output = self.output(node.output, |b| View::channels_last(b, &shape));
        for view in [Some(&input), Some(&weights), bias.as_ref()]
            .into_iter()
            .flatten()
        {
            self.touch(view.buffer);
        }
        self.steps
            .push(Step::ByDefinition(ByDefinition::Conv(Box::new(AnyConv {
                input,
                weights,
                bias,
                output: output.clone(),
                window,
                groups,
                transposed,
            }))));
        self.activate(node, &output, activation)
    }
}
