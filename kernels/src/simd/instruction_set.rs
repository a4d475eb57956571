//! Which instruction set the kernels use.

use std::fmt;
use std::str::FromStr;

use super::{CHUNK, Simd};

/// An instruction set that this CPU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstructionSet {
    /// AVX-512 (F, VL, BW and DQ).
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON of aarch64.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// NEON of 32-bit ARM.
    #[cfg(target_arch = "arm")]
    Neon32,
    /// Whatever the compiler makes of plain Rust.
    Portable,
}

/// A name that is none of [`InstructionSet::available`].
#[derive(Debug, thiserror::Error)]
#[error(
    "{name:?} is no instruction set of this CPU; there are {}",
    InstructionSet::names()
)]
pub struct UnknownInstructionSet {
    name: String,
}

impl InstructionSet {
    /// The environment variable that forces one, for tests and comparisons.
    pub const VARIABLE: &'static str = "PALMD_SIMD";

    /// What this CPU has, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [
            #[cfg(target_arch = "x86_64")]
            (has_avx512(), Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            (
                std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma"),
                Self::Avx2,
            ),
            #[cfg(target_arch = "aarch64")]
            (true, Self::Neon),
            #[cfg(target_arch = "arm")]
            (super::Neon32::is_available(), Self::Neon32),
            (true, Self::Portable),
        ]
        .into_iter()
        .filter_map(|(has, set)| has.then_some(set))
    }

    /// The one that [`VARIABLE`](Self::VARIABLE) names, or the fastest.
    ///
    /// # Errors
    /// [`UnknownInstructionSet`] when the variable names another.
    pub fn chosen() -> Result<Self, UnknownInstructionSet> {
        match std::env::var(Self::VARIABLE) {
            Ok(name) if !name.is_empty() => name.parse(),
            _ => Ok(Self::available().next().unwrap_or(Self::Portable)),
        }
    }

    /// Its name, as the variable takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            #[cfg(target_arch = "arm")]
            Self::Neon32 => "neon32",
            Self::Portable => "portable",
        }
    }

    /// Numbers in a register.
    #[must_use]
    pub fn lanes(self) -> usize {
        self.shape().lanes
    }

    /// Registers of the next panel of a matrix product, if `channels` output channels are left
    /// and no line has more than `pixels` pixels.
    #[must_use]
    pub fn panel_registers(self, channels: usize, pixels: usize) -> usize {
        let Shape {
            lanes,
            tile,
            narrow,
            half,
        } = self.shape();
        let chunk = CHUNK / lanes;
        if channels <= half.1 * lanes {
            return half.1;
        }
        let whole = channels.next_multiple_of(CHUNK) / lanes;
        let widths = [narrow.1, tile.1, chunk];
        let fits = |&&registers: &&usize| {
            registers <= whole
                && (registers != narrow.1 || registers == tile.1 || pixels <= narrow.0)
        };
        widths.iter().find(fits).copied().unwrap_or(chunk)
    }

    fn shape(self) -> Shape {
        fn of<S: Simd>() -> Shape {
            Shape {
                lanes: S::LANES,
                tile: S::TILE,
                narrow: S::NARROW,
                half: S::HALF,
            }
        }
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => of::<super::Avx512>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => of::<super::Avx2>(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => of::<super::Neon>(),
            #[cfg(target_arch = "arm")]
            Self::Neon32 => of::<super::Neon32>(),
            Self::Portable => of::<super::Portable>(),
        }
    }

    fn names() -> String {
        let names: Vec<_> = Self::available().map(Self::name).collect();
        names.join(", ")
    }
}

/// The constants of a [`Simd`].
struct Shape {
    lanes: usize,
    tile: (usize, usize),
    narrow: (usize, usize),
    half: (usize, usize),
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    use std::is_x86_feature_detected as has;
    has!("avx512f") && has!("avx512vl") && has!("avx512bw") && has!("avx512dq") && has!("fma")
}

impl FromStr for InstructionSet {
    type Err = UnknownInstructionSet;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::available()
            .find(|set| set.name() == name)
            .ok_or_else(|| UnknownInstructionSet { name: name.into() })
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
