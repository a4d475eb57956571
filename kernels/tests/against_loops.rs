//! Each kernel of each instruction set that this processor has, against plain loops.

use std::panic::{AssertUnwindSafe, catch_unwind};

use palmd_kernels::{
    Activation, AlignedBox, Axis, CHUNK, Depthwise, Epilogue, InstructionSet, Product, Region,
    Residual, Rows, Run, Sink, Strides,
};
use proptest::prelude::*;

/// Small numbers, the same for the same seed.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
    }

    fn take(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Identity,
    Clip,
    PRelu,
}

impl Kind {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![Just(Self::Identity), Just(Self::Clip), Just(Self::PRelu)]
    }

    fn activation(self, slopes: &[f32]) -> Activation {
        match self {
            Self::Identity => Activation::Identity,
            Self::Clip => Activation::Clip {
                low: -0.5,
                high: 1.0,
            },
            Self::PRelu => Activation::PRelu(AlignedBox::of(slopes)),
        }
    }

    #[expect(clippy::manual_clamp, reason = "a clip turns NaN into its lower bound")]
    fn apply(self, x: f32, slope: f32) -> f32 {
        match self {
            Self::Identity => x,
            Self::Clip => x.max(-0.5).min(1.0),
            Self::PRelu if x < 0.0 => x * slope,
            Self::PRelu => x,
        }
    }
}

/// Numbers that end right before a page that can't be touched, or begin right behind one: whoever
/// reads or writes beyond them doesn't live on.
struct Guarded {
    pages: *mut libc::c_void,
    len: usize,
    begin: usize,
    count: usize,
}

impl Guarded {
    fn new(numbers: &[f32], at_end: bool) -> Self {
        // SAFETY: asks the system for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let bytes = size_of_val(numbers);
        let inside = bytes.next_multiple_of(page);
        let len = inside + 2 * page;
        let (all, some) = (libc::PROT_NONE, libc::PROT_READ | libc::PROT_WRITE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: new pages of which only the inner ones are made accessible.
        let pages = unsafe {
            let pages = libc::mmap(std::ptr::null_mut(), len, all, flags, -1, 0);
            assert_ne!(pages, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(pages.byte_add(page), inside, some), 0);
            pages
        };
        let begin = page + if at_end { inside - bytes } else { 0 };
        let mut guarded = Self {
            pages,
            len,
            begin,
            count: numbers.len(),
        };
        guarded.numbers().copy_from_slice(numbers);
        guarded
    }

    fn numbers(&mut self) -> &mut [f32] {
        // SAFETY: these bytes are within the accessible pages, and borrowed as long as `self` is.
        unsafe {
            std::slice::from_raw_parts_mut(self.pages.byte_add(self.begin).cast(), self.count)
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the pages that were mapped, which nobody borrows any more.
        unsafe { libc::munmap(self.pages, self.len) };
    }
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() < 1e-4 || (a.is_nan() && b.is_nan())
}

/// Where channel `c` of pixel `p` lies in an image of `pixels` pixels.
fn place(c: usize, p: usize, pixels: usize) -> usize {
    (c / CHUNK * pixels + p) * CHUNK + c % CHUNK
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_product_is_that_of_loops(
        pixels in 1..40usize, rows in 1..70usize, channels in 1..70usize,
        kind in Kind::any(), adds in any::<bool>(), nan in any::<bool>(), at_end in any::<bool>(), seed in any::<u32>(),
    ) {
        let mut numbers = Numbers(seed);
        let (in_chunks, out_chunks) = (rows.div_ceil(CHUNK), channels.div_ceil(CHUNK));
        let weights = numbers.take(rows * channels);
        let (bias, slopes) = (numbers.take(out_chunks * CHUNK), numbers.take(out_chunks * CHUNK));
        let mut source = numbers.take(in_chunks * CHUNK * pixels);
        if nan {
            source[0] = f32::NAN;
        }
        let residual = numbers.take(out_chunks * CHUNK * pixels);
        let mut guarded_source = Guarded::new(&source, at_end);
        let mut guarded_residual = Guarded::new(&residual, at_end);
        for set in InstructionSet::available() {
            let runs: Vec<_> = (0..in_chunks)
                .map(|i| Run { chunk: i, offset: 0, row: i * CHUNK, len: CHUNK.min(rows - i * CHUNK) })
                .collect();
            let region = Region { runs: 0..in_chunks, rows: 0..1, columns: 0..pixels, source: 0 };
            let line = pixels * CHUNK;
            let strides = Strides {
                source_chunk: line, source_line: line, source_pixel: CHUNK, source_row: line,
                output_chunk: line, output_pixel: CHUNK, output_row: line,
            };
            let epilogue = Epilogue {
                bias: AlignedBox::of(&bias),
                activation: kind.activation(&slopes),
                residual: if adds { Residual::After } else { Residual::None },
            };
            let weight = |row: usize, channel: usize| weights[row * channels + channel];
            let product = Product::new(set, (rows, channels), weight, (runs, vec![region]), (strides, false), epilogue);
            let mut guarded = Guarded::new(&vec![0.0; out_chunks * CHUNK * pixels], at_end);
            let output = guarded.numbers();
            product.run(0..1, Rows::all(guarded_source.numbers()), guarded_residual.numbers(), Rows::all(Sink::from(&mut *output)));
            for p in 0..pixels {
                for c in 0..channels {
                    let sum: f32 = (0..rows).map(|r| source[place(r, p, pixels)] * weight(r, c)).sum();
                    let at = place(c, p, pixels);
                    let wanted = kind.apply(sum + bias[c], slopes[c]) + if adds { residual[at] } else { 0.0 };
                    prop_assert!(close(output[at], wanted), "{set}, pixel {p}, channel {c}: {} for {wanted}", output[at]);
                }
            }
        }
    }

    #[test]
    fn a_depthwise_convolution_is_that_of_loops(
        tiles in 1..4usize, width in 1..30usize, channels in 1..40usize, kernel in prop_oneof![Just(3), Just(5), 1..7usize],
        stride in 1..3usize, dilation in 1..3usize, pad in 0..3usize, usual in any::<bool>(), kind in Kind::any(), at_end in any::<bool>(), seed in any::<u32>(),
    ) {
        // The usual shapes have kernels of their own.
        let (width, dilation, pad) =
            if usual { (tiles * 7 * stride, 1, (kernel - 1) / 2 - usize::from(stride == 2 && kernel > 2)) } else { (width, dilation, pad.min(kernel - 1)) };
        let axis = |input: usize| Axis { input, output: input.div_ceil(stride), kernel, stride, dilation, pad_before: pad };
        let (rows, columns) = (axis(5), axis(width));
        let mut numbers = Numbers(seed);
        let chunks = channels.div_ceil(CHUNK);
        let weights = numbers.take(channels * kernel * kernel);
        let (bias, slopes) = (numbers.take(chunks * CHUNK), numbers.take(chunks * CHUNK));
        let source = numbers.take(chunks * CHUNK * rows.input * columns.input);
        let mut guarded_source = Guarded::new(&source, at_end);
        for set in InstructionSet::available() {
            let epilogue = Epilogue { bias: AlignedBox::of(&bias), activation: kind.activation(&slopes), residual: Residual::None };
            let weight = |channel: usize, tap: usize| weights[channel * kernel * kernel + tap];
            let convolution = Depthwise::new(set, channels, (rows, columns), weight, epilogue);
            let mut guarded = Guarded::new(&vec![0.0; chunks * CHUNK * rows.output * columns.output], at_end);
            let output = guarded.numbers();
            convolution.run(0..rows.output, Rows::all(guarded_source.numbers()), Rows::all(Sink::from(&mut *output)));
            for y in 0..rows.output {
                for x in 0..columns.output {
                    for c in 0..channels {
                        let mut sum = bias[c];
                        for tap in 0..kernel * kernel {
                            let row = (y * stride + tap / kernel * dilation).checked_sub(pad).filter(|&row| row < rows.input);
                            let column = (x * stride + tap % kernel * dilation).checked_sub(pad).filter(|&column| column < columns.input);
                            if let (Some(row), Some(column)) = (row, column) {
                                sum += source[place(c, row * columns.input + column, rows.input * columns.input)] * weight(c, tap);
                            }
                        }
                        let wanted = kind.apply(sum, slopes[c]);
                        let got = output[place(c, y * columns.output + x, rows.output * columns.output)];
                        prop_assert!(close(got, wanted), "{set}, row {y}, column {x}, channel {c}: {got} for {wanted}");
                    }
                }
            }
        }
    }
}

/// Whether `call` is refused, not done.
fn is_refused<T>(call: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

#[test]
fn what_would_reach_beyond_its_numbers_is_refused() {
    let epilogue = |slopes: usize| Epilogue {
        bias: AlignedBox::zeros(2 * CHUNK),
        activation: Activation::PRelu(AlignedBox::zeros(slopes)),
        residual: Residual::None,
    };
    let run = Run {
        chunk: 0,
        offset: 0,
        row: 0,
        len: CHUNK,
    };
    let region = Region {
        runs: 0..1,
        rows: 0..2,
        columns: 0..2,
        source: 0,
    };
    let line = 2 * CHUNK;
    let strides = Strides {
        source_chunk: 2 * line,
        source_line: line,
        source_pixel: CHUNK,
        source_row: line,
        output_chunk: 2 * line,
        output_pixel: CHUNK,
        output_row: line,
    };
    let (source, mut output) = ([0.0; 4 * CHUNK], [0.0; 8 * CHUNK]);
    for set in InstructionSet::available() {
        let product = |strides, dense, slopes| {
            let (runs, regions) = (vec![run], vec![region.clone()]);
            Product::new(
                set,
                (CHUNK, 20),
                |_, _| 1.0,
                (runs, regions),
                (strides, dense),
                epilogue(slopes),
            )
        };
        let mut done = |strides| {
            let rows = Rows::all(&source[..]);
            let output = Rows::all(Sink::from(&mut output[..]));
            is_refused(|| product(strides, false, 2 * CHUNK).run(0..2, rows, &[], output))
        };
        assert!(!done(strides));
        // Sums that would come out small if they were let overflow.
        let most = usize::MAX / 2 + 1;
        for wrong in [
            Strides {
                source_row: most,
                ..strides
            },
            Strides {
                source_pixel: usize::MAX - line + 1,
                ..strides
            },
            Strides {
                output_row: usize::MAX - CHUNK,
                ..strides
            },
            Strides {
                output_pixel: most,
                output_row: most,
                ..strides
            },
            Strides {
                output_chunk: usize::MAX - 4 * CHUNK,
                ..strides
            },
            Strides {
                output_chunk: 0,
                ..strides
            },
        ] {
            assert!(done(wrong), "{wrong:?}");
        }
        assert!(
            is_refused(|| product(strides, false, CHUNK)),
            "slopes for 20 channels"
        );
        assert!(
            is_refused(|| product(strides, true, 2 * CHUNK)),
            "a dense output in pieces"
        );

        let axis = Axis {
            input: 4,
            output: 4,
            kernel: 3,
            stride: 1,
            dilation: 1,
            pad_before: 1,
        };
        let depthwise =
            |rows, slopes| Depthwise::new(set, 20, (rows, axis), |_, _| 1.0, epilogue(slopes));
        assert!(!is_refused(|| depthwise(axis, 2 * CHUNK)));
        assert!(
            is_refused(|| depthwise(axis, CHUNK)),
            "slopes for 20 channels"
        );
        for wrong in [
            Axis { stride: 0, ..axis },
            Axis { kernel: 0, ..axis },
            Axis {
                dilation: usize::MAX / 2,
                ..axis
            },
            Axis {
                pad_before: usize::MAX,
                ..axis
            },
            Axis {
                stride: 1 << 30,
                ..axis
            },
        ] {
            assert!(is_refused(|| depthwise(wrong, 2 * CHUNK)), "{wrong:?}");
        }
    }
}
