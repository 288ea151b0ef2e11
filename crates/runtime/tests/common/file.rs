//! ONNX files, written by hand.

/// As much of protobuf's encoding as an ONNX file needs.
#[derive(Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    pub fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }
}

/// A list of integers as an attribute.
pub fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let start = Message::default().bytes(1, name.as_bytes()).int(20, 7);
    values.iter().fold(start, |m, &v| m.int(8, v)).0
}

/// A text as an attribute.
pub fn text(name: &str, value: &str) -> Vec<u8> {
    let name = Message::default().bytes(1, name.as_bytes());
    name.int(20, 3).bytes(4, value.as_bytes()).0
}

/// An integer as an attribute.
pub fn int(name: &str, value: i64) -> Vec<u8> {
    let name = Message::default().bytes(1, name.as_bytes());
    name.int(20, 2).int(3, value).0
}

/// A float as an attribute.
pub fn float(name: &str, value: f32) -> Vec<u8> {
    let mut message = Message::default().bytes(1, name.as_bytes()).int(20, 1);
    message.varint(2 << 3 | 5);
    message.0.extend(value.to_le_bytes());
    message.0
}

/// The attribute `axis`.
pub fn axis(value: i64) -> Vec<u8> {
    int("axis", value)
}

/// A tensor of the data type `kind`, with its bytes.
pub fn tensor(name: &str, kind: i64, dims: &[i64], raw: &[u8]) -> Vec<u8> {
    let start = dims.iter().fold(Message::default(), |m, &d| m.int(1, d));
    start.int(2, kind).bytes(8, name.as_bytes()).bytes(9, raw).0
}

/// A tensor of small, rising floats.
pub fn floats(name: &str, dims: &[i64]) -> Vec<u8> {
    let count: i64 = dims.iter().product();
    let raw: Vec<u8> = (0..count)
        .flat_map(|i| (i as f32 * 0.01).to_le_bytes())
        .collect();
    tensor(name, 1, dims, &raw)
}

/// A tensor of floats of both signs, none like the one before it, up to `scale`.
pub fn spread(name: &str, dims: &[usize], scale: f32) -> Vec<u8> {
    let count = dims.iter().product::<usize>();
    let value = |i: usize| ((i * 7919 + name.len() * 31) % 1009) as f32 / 504.5 - 1.0;
    let raw: Vec<u8> = (0..count)
        .flat_map(|i| (value(i) * scale).to_le_bytes())
        .collect();
    let dims: Vec<i64> = dims.iter().map(|&d| d as i64).collect();
    tensor(name, 1, &dims, &raw)
}

/// A list of integers as a tensor.
pub fn longs(name: &str, values: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor(name, 7, &[values.len() as i64], &raw)
}

/// A node of one output.
pub fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    node_of(op, inputs, &[output], attributes)
}

/// A node of several outputs.
pub fn node_of(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let m = Message::default();
    let m = inputs.iter().fold(m, |m, i| m.bytes(1, i.as_bytes()));
    let m = outputs.iter().fold(m, |m, o| m.bytes(2, o.as_bytes()));
    let m = m.bytes(4, op.as_bytes());
    attributes.iter().fold(m, |m, a| m.bytes(5, a)).0
}

/// An input of four dimensions of any size.
pub fn picture(name: &str) -> Vec<u8> {
    let shape = ["n", "c", "h", "w"]
        .iter()
        .fold(Message::default(), |m, d| {
            m.bytes(1, &Message::default().bytes(2, d.as_bytes()).0)
        });
    let kind = Message::default().int(1, 1).bytes(2, &shape.0);
    let kind = Message::default().bytes(1, &kind.0);
    Message::default()
        .bytes(1, name.as_bytes())
        .bytes(2, &kind.0)
        .0
}

/// A model of one output whose input is a picture `x`, of version 14.
pub fn model(nodes: &[Vec<u8>], constants: &[Vec<u8>], output: &str) -> Vec<u8> {
    model_of(nodes, constants, &[output])
}

/// The same with several outputs.
pub fn model_of(nodes: &[Vec<u8>], constants: &[Vec<u8>], outputs: &[&str]) -> Vec<u8> {
    let m = nodes.iter().fold(Message::default(), |m, n| m.bytes(1, n));
    let m = constants.iter().fold(m, |m, c| m.bytes(5, c));
    let m = m.bytes(11, &picture("x"));
    let graph = outputs.iter().fold(m, |m, output| {
        m.bytes(12, &Message::default().bytes(1, output.as_bytes()).0)
    });
    Message::default()
        .int(1, 8)
        .bytes(8, &Message::default().int(2, 14).0)
        .bytes(7, &graph.0)
        .0
}
