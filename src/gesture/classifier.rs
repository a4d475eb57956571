//! The classifier: a network from a window to the probability of each gesture.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Score, ScoreError};
use crate::inference::{Expectation, ExpectedOutput, ModelError, Network, Team};
use crate::pose::LANDMARKS;
use crate::window::{WINDOW, WINDOW_LEN, Window};

/// A network of float32 1 x 30 x 21 x 3 -> 1 x N, palmd's own or anybody else's.
///
/// The output is the one named `probabilities`, or the first one where none is; there may be
/// others, of which `features` is what [learned gestures](super::learned) are told apart by. Labels are in the model's metadata under `labels`, as a JSON array or separated by
/// commas.
#[derive(Debug)]
pub struct Classifier {
    network: Network,
    labels: Vec<Arc<str>>,
}

/// Why a classifier can't be used. The text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifierError {
    /// The file is no network of the right shape.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The labels can't be used.
    #[error("{}: {reason}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// What is wrong with them, and what would be right.
        reason: String,
    },
    /// The network runs, but what comes out can't be used.
    #[error("{}: {error}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ScoreError,
    },
}

const OUTPUTS: [ExpectedOutput<'_>; 2] = [
    ExpectedOutput {
        name: "probabilities",
        shape: &[Some(1), None],
    },
    ExpectedOutput {
        name: "features",
        shape: &[Some(1), None],
    },
];

/// Probabilities may miss 0, 1 and their sum 1 by so much: the rounding of half precision.
const TOLERANCE: f32 = 0.01;

impl Classifier {
    /// Reads the model at `path` and tries it on a hand at rest. `labels` take the place of
    /// those in the model's metadata, where it has any.
    ///
    /// # Errors
    /// [`ClassifierError`] when the file is missing or of another shape, when labels are
    /// missing, empty, double or not as many as the outputs, and when the outputs are no
    /// probabilities.
    pub fn load(path: &Path, labels: Option<&[String]>) -> Result<Self, ClassifierError> {
        let remedy = "use palmd's own gestures.onnx, or a model of 1x30x21x3 -> 1xN";
        Self::load_outputs(path, labels, &OUTPUTS[..1], remedy)
    }

    /// As [`load`](Self::load), for a model that also has an output named `features` (or a second
    /// one) of 1 x M, any numbers that tell gestures apart: see [`features`](Self::features).
    ///
    /// # Errors
    /// Those of `load`, and a model without such an output.
    pub fn load_with_features(
        path: &Path,
        labels: Option<&[String]>,
    ) -> Result<Self, ClassifierError> {
        let remedy = "gestures can be learned with palmd's own gestures.onnx, \
                      or a model that has a second output, `features`";
        Self::load_outputs(path, labels, &OUTPUTS, remedy)
    }

    fn load_outputs(
        path: &Path,
        labels: Option<&[String]>,
        outputs: &[ExpectedOutput<'_>],
        remedy: &'static str,
    ) -> Result<Self, ClassifierError> {
        let network = Network::load(
            path,
            &Expectation {
                purpose: "gesture",
                input: &[1, WINDOW, LANDMARKS, 3],
                outputs,
                remedy,
            },
            &Team::default(),
        )?;
        let count = network.output(0).len();
        let labels = match (labels, network.metadata("labels")) {
            (Some(labels), _) => Ok(labels.to_vec()),
            (None, Some(text)) => parse_labels(text),
            (None, None) => Err(format!(
                "the model names no labels; configure its {count}, in the order of its outputs"
            )),
        };
        let labels = labels
            .and_then(|labels| check_labels(labels, count))
            .map_err(|reason| ClassifierError::Labels {
                path: path.into(),
                reason,
            })?;
        let mut classifier = Self { network, labels };
        classifier
            .score_points(&hand_at_rest())
            .map_err(|error| ClassifierError::Output {
                path: path.into(),
                error,
            })?;
        Ok(classifier)
    }

    /// The model's own version, where its metadata has one.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.network.metadata("version")
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The wide layer before the model's head, for the window that was scored last; empty unless
    /// it was [loaded with it](Self::load_with_features).
    #[must_use]
    pub fn features(&self) -> &[f32] {
        self.network.output(1)
    }

    /// The probabilities that were computed last.
    #[must_use]
    pub fn probabilities(&self) -> &[f32] {
        self.network.output(0)
    }

    /// The probability of each label for a window of 30 x 21 x 3 numbers, oldest pose first, one
    /// unit being the frame's width on every axis.
    ///
    /// # Errors
    /// [`ScoreError`] when the network fails or gives no probabilities.
    pub fn score_points(&mut self, points: &[f32; WINDOW_LEN]) -> Result<&[f32], ScoreError> {
        self.network.input().copy_from_slice(points);
        self.run()
    }

    fn run(&mut self) -> Result<&[f32], ScoreError> {
        self.network.run()?;
        let scores = self.network.output(0);
        let range = -TOLERANCE..=1.0 + TOLERANCE;
        if let Some(i) = scores.iter().position(|score| !range.contains(score)) {
            return Err(ScoreError::NoProbability {
                gesture: Arc::clone(&self.labels[i]),
                value: scores[i],
            });
        }
        let sum: f32 = scores.iter().sum();
        if (sum - 1.0).abs() > TOLERANCE {
            return Err(ScoreError::Sum { sum });
        }
        Ok(scores)
    }
}

impl Score for Classifier {
    fn labels(&self) -> &[Arc<str>] {
        &self.labels
    }

    fn score(&mut self, window: &Window) -> Result<&[f32], ScoreError> {
        window.copy_into(self.network.input());
        self.run()
    }
}

/// The most gestures of a model, and the longest label in bytes.
const MOST_LABELS: usize = 1000;
const LONGEST_LABEL: usize = 100;

fn parse_labels(text: &str) -> Result<Vec<String>, String> {
    let limit = 2 * MOST_LABELS * LONGEST_LABEL;
    if text.len() > limit {
        let bytes = text.len();
        return Err(format!("{bytes} bytes of labels, and the limit is {limit}"));
    }
    if !text.trim_start().starts_with('[') {
        return Ok(text.split(',').map(|label| label.trim().into()).collect());
    }
    serde_json::from_str(text)
        .map_err(|e| format!("the model's labels should be a JSON array of names, but {e}"))
}

fn check_labels(labels: Vec<String>, outputs: usize) -> Result<Vec<Arc<str>>, String> {
    if labels.len() > MOST_LABELS {
        return Err(format!(
            "{} labels, and the limit is {MOST_LABELS}",
            labels.len()
        ));
    }
    if labels.len() != outputs {
        return Err(format!(
            "{} labels for {outputs} outputs; configure one label for each",
            labels.len()
        ));
    }
    for (i, label) in labels.iter().enumerate() {
        if label.trim().is_empty() {
            return Err(format!("label {} of {outputs} is empty", i + 1));
        }
        if label.len() > LONGEST_LABEL || label.contains(char::is_control) {
            return Err(format!(
                "label {} of {outputs} has control characters, or more than {LONGEST_LABEL} bytes",
                i + 1
            ));
        }
        if labels[..i].contains(label) {
            return Err(format!("label {label:?} is there twice"));
        }
    }
    Ok(labels.into_iter().map(Arc::from).collect())
}

/// An upright open hand in the middle of the picture.
fn hand_at_rest() -> [f32; WINDOW_LEN] {
    let mut points = [0.0; WINDOW_LEN];
    for (i, point) in points.chunks_exact_mut(3).enumerate() {
        let (x, y) = match i % LANDMARKS {
            0 => (0.0, 0.0),
            joint => {
                let (finger, joint) = ((joint - 1) / 4, (joint - 1) % 4);
                let spread = 0.02 + 0.005 * joint as f32;
                let reach = 0.08 + 0.03 * joint as f32;
                (spread * (finger as f32 - 2.0), -reach)
            }
        };
        point.copy_from_slice(&[0.5 + x, 0.5 + y, 0.0]);
    }
    points
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prost::Message;
    use tract_onnx::pb::{
        GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
        TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
    };

    use super::*;
    use crate::pose::Handedness;
    use crate::window::GridPose;

    fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
        let dim = |&d| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(d)),
            ..Default::default()
        };
        ValueInfoProto {
            name: name.into(),
            r#type: Some(TypeProto {
                value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                    elem_type: 1,
                    shape: Some(TensorShapeProto {
                        dim: shape.iter().map(dim).collect(),
                    }),
                })),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: op.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.into()],
            ..Default::default()
        }
    }

    /// A model of three outputs: logits are 100 times the first and the last of a window's
    /// numbers, and 50.
    fn model(last: &str, labels: Option<&str>) -> ModelProto {
        let mut weights = vec![0.0; WINDOW_LEN * 3];
        weights[0] = 100.0;
        weights[WINDOW_LEN * 3 - 2] = 100.0;
        let float = |name: &str, dims: &[i64], data| TensorProto {
            name: name.into(),
            dims: dims.into(),
            data_type: 1,
            float_data: data,
            ..Default::default()
        };
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                version: 17,
                ..Default::default()
            }],
            metadata_props: labels
                .map(|labels| StringStringEntryProto {
                    key: "labels".into(),
                    value: labels.into(),
                })
                .into_iter()
                .collect(),
            graph: Some(GraphProto {
                node: vec![
                    node("Flatten", &["x"], "flat"),
                    node("MatMul", &["flat", "weights"], "product"),
                    node("Add", &["product", "bias"], "logits"),
                    node(last, &["logits"], "y"),
                ],
                initializer: vec![
                    float("weights", &[WINDOW_LEN as i64, 3], weights),
                    float("bias", &[1, 3], vec![0.0, 0.0, 50.0]),
                ],
                input: vec![value("x", &[1, 30, 21, 3])],
                output: vec![value("y", &[1, 3])],
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn load(model: &ModelProto, labels: Option<&[&str]>) -> Result<Classifier, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mine.onnx");
        std::fs::write(&path, model.encode_to_vec()).expect("the model");
        let labels = labels.map(|labels| Vec::from_iter(labels.iter().map(ToString::to_string)));
        Classifier::load(&path, labels.as_deref()).map_err(|e| e.to_string())
    }

    fn window(first: f32, last: f32) -> Window {
        let pose = |tick, x| GridPose {
            track: 1,
            handedness: Handedness::Left,
            tick,
            seq: 0,
            t: Duration::ZERO,
            captured: None,
            aspect: 0.75,
            points: [[x; 3]; LANDMARKS],
        };
        let mut window = Window::new(1, &pose(0, first));
        window.push(&pose(1, last));
        window
    }

    #[test]
    fn scores_a_window_oldest_pose_first() {
        let mut classifier = load(&model("Softmax", Some("a, b, none")), None).expect("loads");
        assert_eq!(classifier.labels(), ["a", "b", "none"].map(Arc::from));
        for (first, last, expected) in [(1.0, 0.0, 0), (0.0, 1.0, 1), (0.0, 0.0, 2)] {
            let scores = classifier.score(&window(first, last)).expect("scores");
            assert!(scores[expected] > 0.99, "{scores:?}");
        }
    }

    #[test]
    fn labels_come_from_the_configuration_or_the_metadata() {
        let own = model("Softmax", Some(r#"["a", "b, too", "c"]"#));
        let labels = |loaded: Result<Classifier, String>| loaded.expect("loads").labels().to_vec();
        assert_eq!(
            labels(load(&own, None)),
            ["a", "b, too", "c"].map(Arc::from)
        );
        assert_eq!(
            labels(load(&own, Some(&["x", "y", "z"]))),
            ["x", "y", "z"].map(Arc::from)
        );
    }

    #[test]
    fn labels_that_cannot_be_used_are_refused() {
        for (labels, told) in [
            (None, "names no labels; configure its 3"),
            (Some("a,b"), "2 labels for 3 outputs"),
            (Some("a,,c"), "label 2 of 3 is empty"),
            (Some("a,b,a"), "\"a\" is there twice"),
            (Some("a,\x1b[2J,c"), "label 2 of 3 has control characters"),
            (
                Some(&"a,".repeat(1000)),
                "1001 labels, and the limit is 1000",
            ),
            (
                Some(" ".repeat(1 << 20).as_str()),
                "1048576 bytes of labels",
            ),
            (Some("[1, 2, 3]"), "should be a JSON array of names"),
        ] {
            let error = load(&model("Softmax", labels), None).expect_err(told);
            assert!(
                error.contains("mine.onnx: ") && error.contains(told),
                "{error}"
            );
        }
    }

    #[test]
    fn another_shape_is_refused() {
        let mut wrong = model("Softmax", Some("a,b,c"));
        wrong.graph.as_mut().expect("a graph").input[0] = value("x", &[1, 16, 21, 3]);
        let error = load(&wrong, None).expect_err("refused");
        assert!(error.contains("1x30x21x3 -> 1xN"), "{error}");
    }

    #[test]
    fn what_is_no_probability_is_refused_at_load_and_later() {
        let error = load(&model("Identity", Some("a,b,c")), None).expect_err("logits");
        assert!(
            error.contains("for \"a\"") && error.contains("softmax"),
            "{error}"
        );
        let error = load(&model("Sigmoid", Some("a,b,c")), None).expect_err("sigmoid");
        assert!(error.contains("add up to"), "{error}");

        let mut classifier = load(&model("Softmax", Some("a,b,c")), None).expect("loads");
        let error = classifier.score(&window(f32::NAN, 0.0)).expect_err("NaN");
        assert!(matches!(error, ScoreError::NoProbability { value, .. } if value.is_nan()));
        assert!(classifier.score(&window(1.0, 0.0)).is_ok());
    }
}
