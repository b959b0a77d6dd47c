//! Frames as far as their ends: where one stops and whether it is whole, without decoding its samples (RFC 9639 §9).

use super::{BITS, BLOCK};

/// The largest frame that our encoder can make, with room to spare: a verbatim subframe between header and footer.
pub(super) const MAX_FRAME: usize = BLOCK * BITS as usize / 8 + 64;

/// A frame's first two bytes: the sync code, then a stream of blocks of one size (RFC 9639 §9.1).
pub(super) const SYNC: [u8; 2] = [0xff, 0xf8];

/// A whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) number: u64,
    pub(super) samples: u64,
    /// In bytes, header and footer included.
    pub(super) len: usize,
}

/// The frame that `data` begins with; `None` where that is none of ours, is cut off, or fails a check sum.
pub(super) fn whole_frame(data: &[u8]) -> Option<Frame> {
    let data = &data[..data.len().min(MAX_FRAME)];
    let (number, samples, header) = header(data)?;
    let mut bits = Bits { data, at: header as u64 * 8 };
    subframe(&mut bits, samples as usize)?;
    // Filled up to a byte with zeros (§9.2), then the CRC of all before it (§9.3).
    let end = usize::try_from(bits.at.div_ceil(8)).ok()?;
    let footer = data.get(end..end + 2)?;
    (crc16(&data[..end]).to_be_bytes() == footer).then_some(Frame { number, samples, len: end + 2 })
}

/// Number, block size and length of a frame's header (RFC 9639 §9.1) as our streams have it: mono, 24 bit, 48 kHz.
fn header(data: &[u8]) -> Option<(u64, u64, usize)> {
    // Sample rate code 10 is 48 kHz, channel code 0 mono, bit depth code 6 is 24; the last bit is reserved.
    if data.get(..2)? != SYNC || data.get(2)? & 0x0f != 10 || *data.get(3)? != 6 << 1 {
        return None;
    }
    let (number, coded) = coded_number(&data[4..])?;
    let mut at = 4 + coded;
    let samples = match data[2] >> 4 {
        1 => 192,
        code @ 2..=5 => 144 << code,
        6 => {
            at += 1;
            u64::from(*data.get(at - 1)?) + 1
        }
        7 => {
            at += 2;
            u64::from(u16::from_be_bytes(*data.get(at - 2..at)?.first_chunk()?)) + 1
        }
        code @ 8..=15 => 1 << code,
        _ => return None,
    };
    let whole = crc8(&data[..at]) == *data.get(at)? && samples <= BLOCK as u64;
    whole.then_some((number, samples, at + 1))
}

/// The frame's number, coded as UTF-8 codes a character, but up to 36 bits (RFC 9639 §9.1.5); and how many bytes it takes.
fn coded_number(data: &[u8]) -> Option<(u64, usize)> {
    let first = *data.first()?;
    let len = match first.leading_ones() {
        0 => return Some((first.into(), 1)),
        len @ 2..=7 => len as usize,
        _ => return None,
    };
    let mut number = u64::from(first) & ((1 << (7 - len)) - 1);
    for byte in data.get(1..len)? {
        if byte >> 6 != 0b10 {
            return None;
        }
        number = number << 6 | u64::from(byte & 0x3f);
    }
    Some((number, len))
}

/// Passes over a subframe of `samples` samples (RFC 9639 §9.2).
fn subframe(bits: &mut Bits<'_>, samples: usize) -> Option<()> {
    if bits.take(1)? != 0 {
        return None;
    }
    let kind = bits.take(6)? as usize;
    let mut depth = u64::from(BITS);
    if bits.take(1)? == 1 {
        depth = depth.checked_sub(u64::from(bits.zeros()?) + 1)?;
    }
    match kind {
        0 => bits.skip(depth),
        1 => bits.skip(depth * samples as u64),
        8..=12 => {
            let order = kind - 8;
            bits.skip(depth * order as u64)?;
            residual(bits, samples, order)
        }
        32..=63 => {
            let order = kind - 31;
            bits.skip(depth * order as u64)?;
            let precision = u64::from(bits.take(4)?) + 1;
            bits.skip(5 + precision * order as u64)?;
            residual(bits, samples, order)
        }
        _ => None,
    }
}

/// Passes over the coded residual of a predictor of `order` (RFC 9639 §9.2.7).
fn residual(bits: &mut Bits<'_>, samples: usize, order: usize) -> Option<()> {
    let parameter_bits = match bits.take(2)? {
        0 => 4,
        1 => 5,
        _ => return None,
    };
    let escape = (1 << parameter_bits) - 1;
    let partitions = 1_usize << bits.take(4)?;
    let size = samples / partitions;
    if !samples.is_multiple_of(partitions) || size < order {
        return None;
    }
    for partition in 0..partitions {
        let count = if partition == 0 { size - order } else { size };
        let parameter = bits.take(parameter_bits)?;
        if parameter == escape {
            let depth = u64::from(bits.take(5)?);
            bits.skip(depth * count as u64)?;
        } else {
            for _ in 0..count {
                bits.zeros()?;
                bits.skip(parameter.into())?;
            }
        }
    }
    Some(())
}

/// Bits, the highest of each byte first. Nothing is read beyond the end.
struct Bits<'a> {
    data: &'a [u8],
    at: u64,
}

impl Bits<'_> {
    /// The next 57 bits at least, from the highest on; zeros behind the end.
    fn peek(&self) -> u64 {
        let mut bytes = [0; 8];
        let rest = &self.data[((self.at / 8) as usize).min(self.data.len())..];
        let len = rest.len().min(8);
        bytes[..len].copy_from_slice(&rest[..len]);
        u64::from_be_bytes(bytes) << (self.at % 8)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.data.len() as u64 * 8).then_some(())
    }

    /// `count` bits, from 1 to 32.
    fn take(&mut self, count: u32) -> Option<u32> {
        let value = self.peek() >> (64 - count);
        self.skip(count.into())?;
        Some(value as u32)
    }

    /// Passes over zeros and the one behind them; returns how many they were.
    fn zeros(&mut self) -> Option<u32> {
        let mut count = 0;
        loop {
            let run = self.peek().leading_zeros();
            if run < 57 {
                self.skip(u64::from(run) + 1)?;
                return Some(count + run);
            }
            self.skip(57)?;
            count += 57;
        }
    }
}

const fn crc8_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x80 != 0 { crc << 1 ^ 0x07 } else { crc << 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

const fn crc16_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = (i as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x8005 } else { crc << 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

const CRC8: [u8; 256] = crc8_table();
const CRC16: [u16; 256] = crc16_table();

/// The header's check sum: polynomial x⁸+x²+x+1, from 0 (RFC 9639 §9.1.8).
fn crc8(data: &[u8]) -> u8 {
    data.iter().fold(0, |crc, byte| CRC8[usize::from(crc ^ byte)])
}

/// The frame's check sum: polynomial x¹⁶+x¹⁵+x²+1, from 0 (RFC 9639 §9.3).
fn crc16(data: &[u8]) -> u16 {
    data.iter().fold(0, |crc, byte| crc << 8 ^ CRC16[usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_sums_are_those_of_the_catalogue() {
        // The check values of CRC-8/SMBUS and CRC-16/UMTS, which these are.
        assert_eq!(crc8(b"123456789"), 0xf4);
        assert_eq!(crc16(b"123456789"), 0xfee8);
    }

    #[test]
    fn numbers_are_read_as_the_format_codes_them() {
        for (coded, number) in [
            (&[0x00][..], 0),
            (&[0x7f], 0x7f),
            (&[0xc2, 0x80], 0x80),
            (&[0xdf, 0xbf], 0x7ff),
            (&[0xe0, 0xa0, 0x80], 0x800),
            (&[0xf0, 0x90, 0x80, 0x80], 0x1_0000),
            (&[0xfe, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf], 0xf_ffff_ffff),
        ] {
            assert_eq!(coded_number(coded), Some((number, coded.len())));
            assert_eq!(coded_number(&coded[..coded.len() - 1]), None);
        }
        assert_eq!(coded_number(&[0x80]), None);
        assert_eq!(coded_number(&[0xff, 0xbf]), None);
        assert_eq!(coded_number(&[0xc2, 0x00]), None);
    }
}
