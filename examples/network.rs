//! Runs one ONNX network again and again and says, as JSON, what a run costs.
//!
//! ```text
//! cargo run --release --example network -- models/hand_landmark_lite.onnx
//! cargo run --release --example network -- models/hand_landmark_lite.onnx --engine tract
//! PALMD_SIMD=portable cargo run --example network -- M.onnx --input x.f32 --output y.f32 --runs 1
//! ```
//!
//! `--engine tract` is tract as it comes, without palmd's operators. Files hold float32 values in
//! the processor's byte order, row by row; `--output` takes all outputs, one after the other.
//! Without `--input`, value `i` is `(i * 2654435761 mod 2^32 >> 8) / 2^24`.
//!
//! Times are CPU time of the whole process, so that no thread's work is missed. A run starts with
//! its input in place and ends before its outputs are copied.

use std::error::Error;
use std::hint::black_box;
use std::iter::successors;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use palmd::health::{
    AllocatorCalls, CountingAllocator, Memory, PageFaults, process_cpu_time, thread_calls,
    thread_page_faults,
};
use palmd::inference::{Expectation, ExpectedOutput, Network, Team};
use serde::Serialize;
use tract_onnx::prelude::*;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Runs one ONNX network again and again and says, as JSON, what a run costs.
#[derive(Debug, Parser)]
struct Arguments {
    /// A model with one float32 input of a fixed shape
    model: PathBuf,
    /// What runs it
    #[arg(long, value_enum, default_value = "palmd")]
    engine: Engine,
    /// Runs that are measured
    #[arg(long, value_name = "N", default_value_t = 100)]
    runs: usize,
    /// Threads that compute it, with palmd's engine
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    threads: u8,
    /// Runs before that
    #[arg(long, value_name = "N", default_value_t = 5)]
    warm_up: usize,
    /// The input, or several one after the other, each of which is run as often
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where the outputs of each input's last run go
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Engine {
    Palmd,
    Tract,
}

#[derive(Debug, Serialize)]
struct Report {
    engine: Engine,
    input: Vec<usize>,
    outputs: Vec<(&'static str, Vec<usize>)>,
    load_cpu_ns: u64,
    /// Of all threads.
    cpu_ns: Vec<u64>,
    wall_ns: Vec<u64>,
    /// Of all measured runs together, as are the page faults.
    allocator: AllocatorCalls,
    page_faults: PageFaults,
    memory: Memory,
}

/// What the file says about its network.
struct Signature {
    input: Vec<usize>,
    outputs: Vec<(&'static str, Vec<usize>)>,
    typed: TypedModel,
}

impl Signature {
    fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let onnx = tract_onnx::onnx();
        let proto = onnx.proto_model_for_path(path)?;
        let names = proto.graph.iter().flat_map(|graph| &graph.output);
        let names: Vec<&'static str> = names.map(|o| &*o.name.clone().leak()).collect();
        let typed = onnx.model_for_proto_model(&proto)?.into_typed()?;
        let shape = |fact: &TypedFact| match fact.shape.as_concrete() {
            Some(shape) if fact.datum_type == f32::datum_type() => Ok(shape.to_vec()),
            _ => Err(format!("not float32 of a fixed shape: {fact:?}")),
        };
        let mut outputs = Vec::new();
        for (i, name) in names.into_iter().enumerate() {
            outputs.push((name, shape(typed.output_fact(i)?)?));
        }
        Ok(Self {
            input: shape(typed.input_fact(0)?)?,
            outputs,
            typed,
        })
    }
}

/// A network that is ready to run.
enum Loaded {
    Palmd(Box<Network>),
    Tract {
        state: Box<TypedSimpleState>,
        input: Arc<Tensor>,
        outputs: TVec<TValue>,
    },
}

impl Loaded {
    fn palmd(path: &Path, signature: &Signature, team: &Team) -> Result<Self, Box<dyn Error>> {
        let shapes = signature.outputs.iter().map(|(_, shape)| shape);
        let shapes: Vec<Vec<_>> = shapes
            .map(|shape| shape.iter().map(|&d| Some(d)).collect())
            .collect();
        let outputs: Vec<_> = signature
            .outputs
            .iter()
            .zip(&shapes)
            .map(|(&(name, _), shape)| ExpectedOutput { name, shape })
            .collect();
        let expectation = Expectation {
            purpose: "measured",
            input: &signature.input,
            outputs: &outputs,
            remedy: "choose another",
        };
        Ok(Self::Palmd(Box::new(Network::load(
            path,
            &expectation,
            team,
        )?)))
    }

    fn tract(path: &Path, input: &[usize]) -> Result<Self, Box<dyn Error>> {
        let model = tract_onnx::onnx().model_for_path(path)?;
        Ok(Self::Tract {
            state: Box::new(model.into_optimized()?.into_runnable()?.spawn()?),
            input: Arc::new(Tensor::zero::<f32>(input)?),
            outputs: tvec![],
        })
    }

    fn fill(&mut self, values: &[f32]) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Palmd(network) => network.input().copy_from_slice(values),
            Self::Tract { input, .. } => {
                *input = Arc::new(Tensor::from_shape(input.shape(), values)?);
            }
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Palmd(network) => network.run()?,
            Self::Tract {
                state,
                input,
                outputs,
            } => {
                outputs.clear();
                *outputs = state.run(tvec![Arc::clone(input).into_tvalue()])?;
            }
        }
        Ok(())
    }

    fn output(&self, i: usize) -> Result<&[f32], Box<dyn Error>> {
        match self {
            Self::Palmd(network) => Ok(network.output(i)),
            Self::Tract { outputs, .. } => Ok(outputs[i].try_as_plain_ram()?.as_slice()?),
        }
    }
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("network: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let path = &arguments.model;
    let named = |error: Box<dyn Error>| {
        let causes = successors(Some(&*error), |&e| e.source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        format!("{}: {}", path.display(), causes.join(": "))
    };
    let signature = Signature::read(path).map_err(named)?;
    let len = signature.input.iter().product();
    let inputs = match &arguments.input {
        Some(file) => read_floats(file, len)?,
        None => (0..len as u32).map(pseudo_random).collect(),
    };

    let began = process_cpu_time();
    let mut network = match arguments.engine {
        Engine::Palmd => Loaded::palmd(path, &signature, &Team::new(arguments.threads.into()))?,
        Engine::Tract => Loaded::tract(path, &signature.input).map_err(named)?,
    };
    let mut report = Report {
        engine: arguments.engine,
        input: signature.input,
        outputs: signature.outputs,
        load_cpu_ns: (process_cpu_time() - began).as_nanos() as u64,
        cpu_ns: Vec::with_capacity(inputs.len() / len * arguments.runs),
        wall_ns: Vec::with_capacity(inputs.len() / len * arguments.runs),
        allocator: AllocatorCalls::default(),
        page_faults: PageFaults::default(),
        memory: Memory::default(),
    };
    drop(signature.typed);

    let mut written = Vec::new();
    for input in inputs.chunks_exact(len) {
        network.fill(input)?;
        for _ in 0..arguments.warm_up {
            network.run()?;
        }
        let faults = thread_page_faults();
        let calls = thread_calls();
        for _ in 0..arguments.runs {
            let began = (process_cpu_time(), Instant::now());
            network.run()?;
            report.wall_ns.push(began.1.elapsed().as_nanos() as u64);
            let time = process_cpu_time() - began.0;
            report.cpu_ns.push(time.as_nanos() as u64);
        }
        report.allocator = report.allocator + (thread_calls() - calls);
        report.page_faults = report.page_faults + (thread_page_faults() - faults);
        for i in 0..report.outputs.len() {
            let values = black_box(network.output(i)?);
            written.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
        }
    }
    if let Some(file) = &arguments.output {
        std::fs::write(file, written).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    report.memory = Memory::now();
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// A file of float32 values, `len` of them or a multiple.
fn read_floats(file: &Path, len: usize) -> Result<Vec<f32>, String> {
    let bytes = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    if bytes.is_empty() || bytes.len() % (len * size_of::<f32>()) != 0 {
        return Err(format!(
            "{}: {} bytes; an input of this network is {len} float32 values",
            file.display(),
            bytes.len()
        ));
    }
    let values = bytes.chunks_exact(size_of::<f32>());
    Ok(values
        .map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
        .collect())
}

/// 24 bits, 0..1.
fn pseudo_random(i: u32) -> f32 {
    (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0
}
