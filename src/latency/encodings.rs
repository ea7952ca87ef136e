//! The encodings of a histogram in interval logs, older ones turned into the newest.
//!
//! The log reader feeds it with bytes and gives what comes out to the `hdrhistogram` crate, which
//! reads V2 alone. It trusts nothing: what a histogram unpacks to is bounded before it is unpacked.
//! All numbers stand high byte first. The cookie tells the width of a count: `0x1c84_93W1` is V1 with
//! counts of `W` bytes.
//!
//! ```text
//! deflated  cookie u32, length u32, zlib of a plain one
//! V0 plain  cookie u32, digits u32, lowest u64, highest u64, total u64, counts of W bytes to the end
//! V1 plain  cookie u32, counts' length u32, offset u32, digits u32, lowest u64, highest u64,
//!           ratio f64, counts of W bytes
//! V2 plain  as V1; counts are ZigZag LEB128, of nine bytes at most; -n stands for n zeros
//! ```

use std::io::Read as _;

use flate2::read::ZlibDecoder;

/// A histogram unpacked. The most exact one that the format knows, five digits over all of 64 bits,
/// has 6 million counts of 9 bytes at most.
pub(super) const UNPACKED_LEN_MAX: u64 = 64 * 1024 * 1024;

/// The cookies, without the width of a count.
const V0: u32 = 0x1c84_9308;
const V0_DEFLATED: u32 = 0x1c84_9309;
const V1: u32 = 0x1c84_9301;
const V1_DEFLATED: u32 = 0x1c84_9302;
const V2: u32 = 0x1c84_9303;
const V2_DEFLATED: u32 = 0x1c84_9304;
/// Where the width of a count stands in a cookie.
const WIDTH_MASK: u32 = 0xf0;
/// Of doubles: values are multiples of a ratio that each histogram chooses for itself.
const OF_DOUBLES: [u32; 2] = [0x0c72_124e, 0x0c72_124f];

/// What V2's readers expect as a cookie.
pub(super) const V2_COOKIE: u32 = V2 | 0x10;
/// Bytes of a plain one's header, in V0 and from V1 on.
const V0_HEADER_LEN: usize = 32;
pub(super) const HEADER_LEN: usize = 40;

/// A histogram of any encoding as plain V2.
///
/// # Errors
/// It is none, or damaged; in words that follow "cannot be read:".
pub(super) fn as_v2(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let plain = match u32_at(&bytes, 0).map(|it| it & !WIDTH_MASK) {
        Some(V0_DEFLATED | V1_DEFLATED | V2_DEFLATED) => {
            inflate(bytes.get(8..).unwrap_or_default())?
        }
        _ => bytes,
    };
    let cookie = u32_at(&plain, 0).ok_or("it is empty")?;
    match cookie & !WIDTH_MASK {
        V0 => from_v0(&plain, cookie),
        V1 => from_v1(&plain, cookie),
        V2 => whole_v2(plain),
        _ if OF_DOUBLES.contains(&cookie) => {
            Err("it is a histogram of doubles; write the log with whole numbers".into())
        }
        _ => Err("its encoding is none of V0, V1 and V2".into()),
    }
}

fn inflate(deflated: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    ZlibDecoder::new(deflated)
        .take(UNPACKED_LEN_MAX + 1)
        .read_to_end(&mut plain)
        .map_err(|it| it.to_string())?;
    match plain.len() as u64 {
        0..=UNPACKED_LEN_MAX => Ok(plain),
        _ => Err("it unpacks to more than any histogram has".into()),
    }
}

fn whole_v2(mut plain: Vec<u8>) -> Result<Vec<u8>, String> {
    let counts_len = u32_at(&plain, 4).unwrap_or(u32::MAX) as usize;
    if plain.len() < HEADER_LEN || counts_len > plain.len() - HEADER_LEN {
        return Err("it is shorter than it says".into());
    }
    plain[..4].copy_from_slice(&V2_COOKIE.to_be_bytes());
    Ok(plain)
}

fn from_v0(plain: &[u8], cookie: u32) -> Result<Vec<u8>, String> {
    let (head, counts) = split(plain, V0_HEADER_LEN)?;
    let (digits, bounds) = (&head[4..8], &head[8..24]);
    let rest = [&[0; 4], digits, bounds, &1_f64.to_be_bytes()].concat();
    v2(&rest, counts, cookie)
}

fn from_v1(plain: &[u8], cookie: u32) -> Result<Vec<u8>, String> {
    let (head, counts) = split(plain, HEADER_LEN)?;
    let len = u32_at(head, 4).unwrap_or(u32::MAX) as usize;
    let counts = counts.get(..len).ok_or("it is shorter than it says")?;
    v2(&head[8..], counts, cookie)
}

fn split(plain: &[u8], header_len: usize) -> Result<(&[u8], &[u8]), String> {
    let split = plain.split_at_checked(header_len);
    split.ok_or_else(|| "it is shorter than its header".to_owned())
}

/// Plain V2 of a header behind its first two numbers, and of counts as wide as the cookie says.
fn v2(rest: &[u8], counts: &[u8], cookie: u32) -> Result<Vec<u8>, String> {
    let width = ((cookie & WIDTH_MASK) >> 4) as usize;
    if !matches!(width, 2 | 4 | 8) || !counts.len().is_multiple_of(width) {
        return Err(format!("{} bytes are no counts of {width}", counts.len()));
    }
    let (mut encoded, mut zeros) = (Vec::new(), 0);
    for count in counts.chunks_exact(width) {
        let count = count
            .iter()
            .fold(0, |it: u64, byte| it << 8 | u64::from(*byte));
        if count == 0 {
            zeros += 1;
            continue;
        }
        if count >> (8 * width - 1) == 1 {
            return Err("a count is negative".into());
        }
        if zeros > 0 {
            put(&mut encoded, -std::mem::take(&mut zeros));
        }
        put(&mut encoded, count.cast_signed());
    }
    let len = u32::try_from(encoded.len()).map_err(|it| it.to_string())?;
    let head = [V2_COOKIE.to_be_bytes(), len.to_be_bytes()].concat();
    Ok([&head, rest, &encoded].concat())
}

/// A count, or a run of zeros, as V2 has it.
fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    for _ in 0..8 {
        if rest < 0x80 {
            break;
        }
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    // The ninth byte has eight bits.
    out.push(rest as u8);
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use proptest::prelude::*;

    use super::*;

    fn counts_of(histogram: &Histogram<u64>, width: usize) -> Vec<u8> {
        let bins = histogram.iter_all().take(histogram.distinct_values());
        let count = |count: u64| count.to_be_bytes()[8 - width..].to_vec();
        bins.flat_map(|it| count(it.count_at_value())).collect()
    }

    fn bounds(histogram: &Histogram<u64>) -> Vec<u8> {
        [histogram.low(), histogram.high()]
            .map(u64::to_be_bytes)
            .concat()
    }

    /// As the Java and C libraries up to 2.0 wrote it.
    fn v0(histogram: &Histogram<u64>, width: usize) -> Vec<u8> {
        let mut bytes = (V0 | (width as u32) << 4).to_be_bytes().to_vec();
        bytes.extend(u32::from(histogram.sigfig()).to_be_bytes());
        bytes.extend(bounds(histogram));
        bytes.extend(histogram.len().to_be_bytes());
        bytes.extend(counts_of(histogram, width));
        bytes
    }

    /// As the Java library 2.1 wrote it.
    fn v1(histogram: &Histogram<u64>, width: usize) -> Vec<u8> {
        let counts = counts_of(histogram, width);
        let mut bytes = (V1 | (width as u32) << 4).to_be_bytes().to_vec();
        bytes.extend((counts.len() as u32).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(u32::from(histogram.sigfig()).to_be_bytes());
        bytes.extend(bounds(histogram));
        bytes.extend(1_f64.to_be_bytes());
        bytes.extend(counts);
        bytes
    }

    fn deflated(cookie: u32, plain: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, plain).expect("a Vec");
        let zlib = encoder.finish().expect("a Vec");
        let len = (zlib.len() as u32).to_be_bytes();
        [&cookie.to_be_bytes()[..], &len, &zlib].concat()
    }

    fn read(bytes: Vec<u8>) -> Histogram<u64> {
        let plain = as_v2(bytes).expect("it is whole");
        let mut deserializer = Deserializer::new();
        deserializer.deserialize(&mut plain.as_slice()).expect("V2")
    }

    fn histogram(values: &[(u64, u64)]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("bounds");
        for (value, count) in values {
            histogram.record_n(*value, *count).expect("within bounds");
        }
        histogram
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_encoding_of_a_histogram_is_read(
            values in prop::collection::vec((1..3_600_000_000_u64, 1..300_u64), 0..40),
        ) {
            let histogram = histogram(&values);
            for width in [2, 4, 8] {
                let (v0, v1) = (v0(&histogram, width), v1(&histogram, width));
                let packed = (width as u32) << 4;
                prop_assert_eq!(read(deflated(V0_DEFLATED | packed, &v0)), histogram.clone());
                prop_assert_eq!(read(deflated(V1_DEFLATED | packed, &v1)), histogram.clone());
                prop_assert_eq!(read(v0), histogram.clone());
                prop_assert_eq!(read(v1), histogram.clone());
            }
        }

        #[test]
        fn hostile_bytes_are_refused_or_read_but_never_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 4..100),
            cookie in prop::sample::select(vec![V0, V1, V2]),
            width in 0..16_u32,
        ) {
            bytes[..4].copy_from_slice(&(cookie | width << 4).to_be_bytes());
            let _ = as_v2(bytes);
        }
    }

    #[test]
    fn large_counts_and_a_log_cut_short() {
        let histogram = histogram(&[(7, 1 << 40), (9, i64::MAX as u64 >> 1)]);
        assert_eq!(read(v0(&histogram, 8)), histogram);
        let mut short = v1(&histogram, 8);
        short.pop();
        assert!(as_v2(short).expect_err("it is cut").contains("shorter"));
        let mut negative = v0(&histogram, 8);
        negative[V0_HEADER_LEN] = 0x80;
        assert!(as_v2(negative).expect_err("it is").contains("negative"));
        let doubles = OF_DOUBLES[1].to_be_bytes().to_vec();
        assert!(as_v2(doubles).expect_err("it is").contains("doubles"));
    }

    #[test]
    fn a_histogram_that_says_it_is_huge_is_refused_unread() {
        let mut bytes = V2_COOKIE.to_be_bytes().to_vec();
        bytes.extend(u32::MAX.to_be_bytes());
        bytes.extend([0; 64]);
        assert!(as_v2(bytes).expect_err("it is short").contains("says"));
        let mut bomb = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        let mut zeros = std::io::repeat(0).take(UNPACKED_LEN_MAX + 2);
        std::io::copy(&mut zeros, &mut bomb).expect("a Vec");
        let mut bytes = (V2_DEFLATED | 0x10).to_be_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(bomb.finish().expect("a Vec"));
        assert!(as_v2(bytes).expect_err("it is huge").contains("more than"));
    }
}
