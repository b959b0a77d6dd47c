//! The clips: raw I420 files, made from nothing but arithmetic, so that they are the same on every machine, or read from a `.y4m` file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use hyperzoom_media::I420;

/// The shape of the clips that are made here.
const SHAPE: I420 = I420 { width: 1920, height: 1080 };

/// The sensor's noise: standard deviation in luma code values, as of a webcam in a lit room. Chroma has half of it.
const NOISE: f32 = 1.75;

/// A raw clip in a file.
pub(crate) struct Clip {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) shape: I420,
    pub(crate) pictures: u64,
}

impl Clip {
    /// Calls `f` with each picture.
    pub(crate) fn each<E: From<io::Error>>(
        &self,
        mut f: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut file = File::open(&self.path)?;
        let mut picture = vec![0; self.shape.len()];
        for number in 0..self.pictures {
            file.read_exact(&mut picture)?;
            f(number, &picture)?;
        }
        Ok(())
    }

    /// Somebody who sits and talks: a detailed room that stands still, a textured head and shoulders that sway by fractions of a sample,
    /// light that changes slowly, and the sensor's noise over all of it.
    pub(crate) fn talking_head(folder: &Path, pictures: u64) -> io::Result<Self> {
        let (room, cloth) = (Texture::new(1, 2048, 90.0, 38.0), Texture::new(2, 1024, 130.0, 30.0));
        Self::make(folder, "talking head", pictures, |number, x, y| {
            let time = number as f32 / 30.0;
            let (sway, nod) =
                (22.0 * (1.9 * time).sin() + 4.0 * (7.3 * time).sin(), 9.0 * (2.7 * time).cos());
            let (head_x, head_y) = ((x - 960.0 - sway) / 210.0, (y - 430.0 - nod) / 290.0);
            let (body_x, body_y) = ((x - 960.0 - 0.4 * sway) / 560.0, (y - 1100.0 - 0.5 * nod) / 420.0);
            let head = head_x * head_x + head_y * head_y < 1.0;
            if head || body_x * body_x + body_y * body_y < 1.0 {
                let lag = if head { 1.0 } else { 0.4 };
                // The mouth opens and closes: texture that changes by itself.
                let mouth = head && (head_x * 2.5).powi(2) + ((head_y - 0.5) * 5.0).powi(2) < 1.0;
                let talk = if mouth { 35.0 * (9.0 * time).sin() * (3.1 * time).cos() } else { 0.0 };
                let luma = cloth.at(x - lag * sway, y - lag * nod) + talk + if head { 20.0 } else { -25.0 };
                (luma, if head { -14.0 } else { 10.0 }, if head { 18.0 } else { -6.0 })
            } else {
                (room.at(x, y), 6.0, -4.0)
            }
        })
    }

    /// A camera that pans over a detailed scene: no sample stays where it was.
    pub(crate) fn pan(folder: &Path, pictures: u64) -> io::Result<Self> {
        let scene = Texture::new(3, 4096, 110.0, 42.0);
        Self::make(folder, "pan", pictures, |number, x, y| {
            let (x, y) = (x + 6.3 * number as f32, y + 24.0 * (number as f32 / 40.0).sin());
            (scene.at(x, y), 8.0 * (x / 700.0).sin(), 8.0 * (y / 500.0).cos())
        })
    }

    /// `look` gives luma and chroma (off 128) before light and noise, of a picture's number and place.
    fn make(
        folder: &Path,
        name: &str,
        pictures: u64,
        look: impl Fn(u64, f32, f32) -> (f32, f32, f32),
    ) -> io::Result<Self> {
        let path = folder.join(format!("{}.yuv", name.replace(' ', "-")));
        let mut file = BufWriter::new(File::create(&path)?);
        let mut picture = vec![0; SHAPE.len()];
        let grain = Grain::new();
        for number in 0..pictures {
            let light = 1.0 + 0.03 * (number as f32 / 30.0 * 0.9).sin();
            let [luma, u, v] = SHAPE.planes_mut(&mut picture);
            let (width, half) = (SHAPE.width as usize, SHAPE.chroma_width());
            for (row, line) in luma.chunks_exact_mut(width).enumerate() {
                let grain = grain.row(number, row, width);
                for (col, sample) in line.iter_mut().enumerate() {
                    let (value, _, _) = look(number, col as f32, row as f32);
                    *sample = (value * light + grain[col]).round().clamp(16.0, 235.0) as u8;
                }
            }
            for (row, (u, v)) in u.chunks_exact_mut(half).zip(v.chunks_exact_mut(half)).enumerate() {
                let noise = [1, 2].map(|plane| grain.row(number, plane * SHAPE.height as usize + row, half));
                for col in 0..half {
                    let (_, cb, cr) = look(number, 2.0 * col as f32, 2.0 * row as f32);
                    u[col] = (128.0 + cb + 0.5 * noise[0][col]).round().clamp(16.0, 240.0) as u8;
                    v[col] = (128.0 + cr + 0.5 * noise[1][col]).round().clamp(16.0, 240.0) as u8;
                }
            }
            file.write_all(&picture)?;
        }
        file.flush()?;
        Ok(Self { name: format!("{name}, made here"), path, shape: SHAPE, pictures })
    }

    /// The first pictures of a YUV4MPEG2 file in 4:2:0 with 8 bits a sample; its pictures count as 30 a second, whatever it says.
    pub(crate) fn read_y4m(folder: &Path, source: &Path, most: u64) -> io::Result<Self> {
        let bad = |what: &str| io::Error::other(format!("{}: {what}", source.display()));
        let mut input = BufReader::new(File::open(source).map_err(|error| bad(&error.to_string()))?);
        let mut line = String::new();
        input.read_line(&mut line)?;
        let number = |tag: char| line.split_whitespace().find_map(|it| it.strip_prefix(tag)?.parse().ok());
        let (Some(width), Some(height)) = (number('W'), number('H')) else {
            return Err(bad("this is no YUV4MPEG2 file"));
        };
        let chroma = line.split_whitespace().skip(1).find_map(|it| it.strip_prefix('C')).unwrap_or("420");
        if !line.starts_with("YUV4MPEG2 ") || !chroma.starts_with("420") || chroma.starts_with("420p1") {
            return Err(bad("only 8-bit 4:2:0 is read; convert it with ffmpeg -pix_fmt yuv420p"));
        }
        let shape = I420 { width, height };
        let path = folder.join("given.yuv");
        let mut file = BufWriter::new(File::create(&path)?);
        let mut picture = vec![0; shape.len()];
        let mut pictures = 0;
        let mut mark = Vec::new();
        while pictures < most {
            mark.clear();
            if input.read_until(b'\n', &mut mark)? == 0 {
                break;
            }
            if !mark.starts_with(b"FRAME") {
                return Err(bad("a picture does not begin where it should"));
            }
            input.read_exact(&mut picture)?;
            file.write_all(&picture)?;
            pictures += 1;
        }
        file.flush()?;
        if pictures == 0 {
            return Err(bad("there is no picture in it"));
        }
        Ok(Self { name: source.display().to_string(), path, shape, pictures })
    }
}

/// Detail of every size, halving in strength with it as in pictures of real things, on a square that repeats.
struct Texture {
    size: usize,
    samples: Vec<f32>,
}

impl Texture {
    /// A square of `size` (a power of two) by `size` samples around `mean`, of about this standard deviation.
    fn new(seed: u64, size: usize, mean: f32, deviation: f32) -> Self {
        let mut samples = vec![0.0_f32; size * size];
        let mut random = Random(seed);
        let mut strength = 1.0;
        // Octaves of bilinear value noise, from 256 samples a cell down to 2.
        for step in (1..=8).rev().map(|octave| 1_usize << octave) {
            let cells = size / step;
            let lattice: Vec<f32> = (0..cells * cells).map(|_| random.unit()).collect();
            for (i, sample) in samples.iter_mut().enumerate() {
                let (col, row) = (i % size, i / size);
                let (x, y) = ((col % step) as f32 / step as f32, (row % step) as f32 / step as f32);
                let (left, top) = (col / step, row / step);
                let (right, bottom) = ((left + 1) % cells, (top + 1) % cells);
                let upper = lattice[top * cells + left] * (1.0 - x) + lattice[top * cells + right] * x;
                let lower = lattice[bottom * cells + left] * (1.0 - x) + lattice[bottom * cells + right] * x;
                *sample += strength * (upper * (1.0 - y) + lower * y);
            }
            strength *= 0.62;
        }
        let count = samples.len() as f32;
        let average = samples.iter().sum::<f32>() / count;
        let spread = (samples.iter().map(|it| (it - average).powi(2)).sum::<f32>() / count).sqrt();
        for sample in &mut samples {
            *sample = mean + (*sample - average) * deviation / spread;
        }
        Self { size, samples }
    }

    /// The value at a place between the samples.
    fn at(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (x, y) = (x - left, y - top);
        let mask = self.size - 1;
        let (left, top) = (left as i32 as usize & mask, top as i32 as usize & mask);
        let (right, bottom) = ((left + 1) & mask, (top + 1) & mask);
        let upper =
            self.samples[top * self.size + left] * (1.0 - x) + self.samples[top * self.size + right] * x;
        let lower = self.samples[bottom * self.size + left] * (1.0 - x)
            + self.samples[bottom * self.size + right] * x;
        upper * (1.0 - y) + lower * y
    }
}

/// White noise, drawn once; each row of each picture reads it from another place.
struct Grain(Vec<f32>);

impl Grain {
    const LEN: u64 = 1 << 20;

    fn new() -> Self {
        let mut random = Random(4);
        // The sum of twelve numbers between 0 and 1 is nearly normal, of variance 1.
        let normal = (0..Self::LEN).map(|_| (0..12).map(|_| random.unit()).sum::<f32>() - 6.0);
        Self(normal.map(|it| it * NOISE).collect())
    }

    fn row(&self, picture: u64, row: usize, width: usize) -> &[f32] {
        let mut random = Random(picture * 65_536 + row as u64 + 1);
        random.next();
        let at = (random.next() % (Self::LEN - width as u64)) as usize;
        &self.0[at..at + width]
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    /// From 0 up to 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 24) as f32
    }
}
