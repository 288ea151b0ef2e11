//! Where values lie.

use super::super::buffer::Buffer;
use super::super::memory::Lifetime;
use super::super::program::Place;
use super::super::step::{At, Step};
use super::super::view::{BufferId, Matrix, Pictures, View};
use super::{BufferInfo, Lowering};
use crate::RuntimeError;
use crate::graph::{Node, ValueId};

impl Lowering<'_> {
    pub(super) fn buffer(&mut self, place: Place, len: usize) -> BufferId {
        self.buffers.push(BufferInfo {
            place,
            life: Lifetime {
                len,
                first: self.job,
                last: self.job,
            },
        });
        self.buffers.len() - 1
    }

    pub(super) fn arena(&mut self, len: usize) -> BufferId {
        self.buffer(Place::Arena(0), len)
    }

    pub(super) fn constant(&mut self, data: &[f32]) -> BufferId {
        let mut buffer = Buffer::zeros(data.len());
        buffer.as_mut_slice()[..data.len()].copy_from_slice(data);
        self.constants.push(buffer);
        self.buffer(Place::Constant(self.constants.len() - 1), data.len())
    }

    pub(super) fn touch(&mut self, buffer: BufferId) {
        let life = &mut self.buffers[buffer].life;
        life.last = life.last.max(self.job);
    }

    pub(super) fn read(&mut self, view: &View) -> At {
        self.touch(view.buffer);
        At {
            buffer: view.buffer,
            offset: view.offset,
        }
    }

    pub(super) fn view(&mut self, value: ValueId) -> Result<View, RuntimeError> {
        if let Some(view) = self.views.get(&value) {
            return Ok(view.clone());
        }
        let unknown = || RuntimeError::Run {
            reason: format!("value {value} is read before it is made"),
        };
        let constant = self.graph.constants.get(&value).ok_or_else(unknown)?;
        let data = constant.as_f32().filter(|d| !d.is_empty());
        let buffer = self.constant(data.ok_or_else(unknown)?);
        let view = View::row_major(buffer, &constant.shape);
        self.views.insert(value, view.clone());
        Ok(view)
    }

    pub(super) fn operand(&mut self, node: &Node, index: usize) -> Result<View, RuntimeError> {
        let value = node
            .input(index)
            .ok_or_else(|| node.unsupported("an operand is missing"))?;
        self.view(value)
    }

    /// Where `value` is to be made: where a concatenation wants it, else as `fresh` lays it out in a new buffer.
    pub(super) fn output(&mut self, value: ValueId, fresh: impl Fn(BufferId) -> View) -> View {
        if let Some(&(whole, channel)) = self.targets.get(&value) {
            let whole = match self.views.get(&whole) {
                Some(view) => view.clone(),
                None => {
                    let shape = &self.shapes[whole];
                    let buffer = self.arena(shape.iter().product());
                    let view = View::channels_last(buffer, shape);
                    self.views.insert(whole, view.clone());
                    view
                }
            };
            let view = View {
                offset: whole.offset + channel * whole.strides[1],
                shape: self.shapes[value].clone(),
                ..whole
            };
            self.touch(view.buffer);
            self.views.insert(value, view.clone());
            return view;
        }
        let buffer = self.arena(self.shapes[value].iter().product());
        let view = fresh(buffer);
        self.views.insert(value, view.clone());
        view
    }

    /// Whether a job may write what it makes over `value`, which it reads: nothing needs it later.
    pub(super) fn may_overwrite(&self, value: ValueId, output: ValueId) -> bool {
        if self.targets.contains_key(&output) || self.graph.constants.contains_key(&value) {
            return false;
        }
        let done = self.last_use.get(&self.root(value)) == Some(&self.job);
        self.views.get(&value).is_some_and(|view| {
            done && view.is_dense()
                && view.elements() == self.buffers[view.buffer].life.len
                && matches!(self.buffers[view.buffer].place, Place::Arena(_))
        })
    }

    pub(super) fn copy(&mut self, from: &View, to: &View) {
        let axes = to.axes(&from.strides, &vec![0; from.strides.len()]);
        let a = self.read(from);
        let output = self.read(to);
        self.steps.push(Step::Elementwise {
            op: None,
            axes,
            output,
            a,
            b: a,
        });
    }

    pub(super) fn copied(&mut self, from: &View, to: impl Fn(BufferId) -> View) -> View {
        let buffer = self.arena(from.elements());
        let to = to(buffer);
        self.copy(from, &to);
        to
    }

    /// The view as rows along `inner`, copied where its memory doesn't allow it.
    pub(super) fn as_rows(&mut self, view: View, inner: usize) -> (View, Matrix) {
        if let Some(rows) = view.matrix(inner) {
            return (view, rows);
        }
        let view = self.copied(&view, |buffer| View::innermost(buffer, &view.shape, inner));
        let cols = view.shape[inner];
        let rows = Matrix {
            count: view.elements() / cols,
            cols,
            pitch: cols,
        };
        (view, rows)
    }

    pub(super) fn as_pictures(
        &mut self,
        node: &Node,
        view: View,
    ) -> Result<(View, Pictures), RuntimeError> {
        if let Some(pictures) = view.pictures() {
            return Ok((view, pictures));
        }
        let view = self.copied(&view, |buffer| View::channels_last(buffer, &view.shape));
        let pictures = view.pictures();
        Ok((
            view,
            pictures.ok_or_else(|| node.unsupported("not a picture"))?,
        ))
    }

    /// The first operand under the name of the node's output, in its own memory where nothing needs it later, else a
    /// copy with the axis `inner` innermost, or in its own order.
    pub(super) fn in_place(
        &mut self,
        node: &Node,
        inner: Option<usize>,
    ) -> Result<View, RuntimeError> {
        let input = self.operand(node, 0)?;
        let usable = inner.is_none_or(|inner| input.matrix(inner).is_some());
        if let Some(value) = node.input(0)
            && usable
            && self.may_overwrite(value, node.output)
        {
            self.views.insert(node.output, input.clone());
            return Ok(input);
        }
        let to = self.output(node.output, |buffer| match inner {
            Some(inner) => View::innermost(buffer, &input.shape, inner),
            None => input.like(buffer),
        });
        self.copy(&input, &to);
        Ok(to)
    }
}
