//! How many parts an ONNX file has, without making anything of them: parts of two bytes become
//! structures of hundreds.
//!
//! Source: the [encoding](https://protobuf.dev/programming-guides/encoding/) of Protocol Buffers,
//! and the numbers of fields in `onnx.proto`.

/// Messages are nested no deeper than a reader of theirs follows.
const DEPTH: usize = 100;

/// The messages in which others lie.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Value,
    Type,
    TensorType,
    Shape,
    Training,
    Function,
}

impl Message {
    /// The message in a field, if it is one that has parts.
    fn inner(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) | (Self::Training, 1 | 2) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => {
                Self::Tensor
            }
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Graph, 11..=13) => Self::Value,
            (Self::Value, 2) | (Self::Attribute, 14 | 15) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Node, 5) => Self::Attribute,
            _ => return None,
        })
    }
}

/// Parts of a model's file, up to the first that is broken; somewhat more than `most` if there are
/// more.
pub fn count(bytes: &[u8], most: u64) -> u64 {
    count_in(Message::Model, bytes, DEPTH, most)
}

fn count_in(message: Message, mut bytes: &[u8], depth: usize, most: u64) -> u64 {
    let mut count = 0;
    while count <= most
        && let Some((field, content)) = next_field(&mut bytes)
    {
        let Some(content) = content else { continue };
        count += 1;
        if let Some(inner) = message.inner(field)
            && depth > 0
        {
            count += count_in(inner, content, depth - 1, most - count.min(most));
        }
    }
    count
}

/// Takes a field off: its number, and its content if that has a length.
fn next_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let key = varint(bytes)?;
    let content = match key & 7 {
        0 => varint(bytes).map(|_| None)?,
        1 => bytes.split_off(..8).map(|_| None)?,
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Some(bytes.split_off(..length)?)
        }
        // What is in a group is written as if it were beside it.
        3 | 4 => None,
        5 => bytes.split_off(..4).map(|_| None)?,
        _ => return None,
    };
    Some((key >> 3, content))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for i in 0..10 {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::super::test_model::{floats, model, node};
    use super::*;

    #[test]
    fn nested_parts_count_and_counting_ends_beyond_the_limit() {
        let small = model(&[1], vec![node("Abs", &["x"], "y")], vec![], &["y"]);
        let one = count(&small.encode_to_vec(), 1000);
        let nodes = vec![node("Abs", &["x"], "y"); 101];
        let large = model(&[1], nodes, vec![floats("w", &[2], &[1.0, 2.0])], &["y"]);
        let bytes = large.encode_to_vec();
        // A node is itself, its operator, its input and its output; a tensor has its axes, its
        // numbers and its name.
        assert_eq!(count(&bytes, 1000), one + 4 * 100 + 4);
        assert!((51..60).contains(&count(&bytes, 50)));
    }

    #[test]
    fn what_is_broken_ends_the_counting() {
        let model = model(&[1], vec![node("Abs", &["x"], "y")], vec![], &["y"]);
        let bytes = model.encode_to_vec();
        let all = count(&bytes, 1000);
        for length in 0..bytes.len() {
            assert!(count(&bytes[..length], 1000) <= all);
        }
        assert_eq!(count(&[0xff; 100], 1000), 0);
        // A group, which nobody writes, hides nothing.
        let hidden = [&[0x0b][..], &bytes].concat();
        assert_eq!(count(&hidden, 1000), all);
        // Graphs in graphs in graphs.
        let mut deep = Vec::new();
        for _ in 0..3000 {
            for field in [1, 5, 6] {
                let mut outer = vec![field << 3 | 2];
                prost::encoding::encode_varint(deep.len() as u64, &mut outer);
                outer.append(&mut deep);
                deep = outer;
            }
        }
        let mut outer = vec![7 << 3 | 2];
        prost::encoding::encode_varint(deep.len() as u64, &mut outer);
        outer.append(&mut deep);
        assert!(count(&outer, 1000) <= DEPTH as u64 + 1);
    }
}
