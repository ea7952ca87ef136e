//! Valid frames, as cheaply as they can be made: templates rendered once, patched in place.
//!
//! `orders` feeds it timestamps and takes lines; benches may use it alone. It makes no faults,
//! opens no socket and reads no clock: the same spec gives the same bytes.
//!
//! ```text
//! {"messageId": "server1-000-abc12345", "sourceServerId": … "timestamp": 0000000000000, …}\n
//!                        ^ number_at: running number        timestamp_at ^
//! ```
//! The running number keeps its width (no leading zeros on the wire) from one power of ten to the
//! next; then all templates are rendered anew, one digit wider and of the same length. A frame is
//! hence one copy and two patches.

use crate::error::SimulatorError;
use crate::limits::{
    NUMBER_DIGITS_MAX, TEMPLATE_BYTES_AIM, TEMPLATE_BYTES_MAX, TIMESTAMP_DIGITS, TIMESTAMP_MS_MAX,
    TIMESTAMP_MS_MIN, VARIANTS_MAX,
};
use crate::menu::Meal;
use crate::payload::{self, PAYLOAD_LEN_MIN, put};

/// What frames a [`FrameMaker`] makes.
#[derive(Clone, Debug)]
pub struct FrameSpec {
    /// The `sourceServerId`, and the first part of each `messageId`.
    pub server: String,
    /// The `destinationId`s, each as likely as the others.
    pub destinations: Vec<String>,
    /// Bytes of a frame without its newline; `None`: as long as the order happens to be.
    pub len: Option<usize>,
    /// Render each frame anew instead of patching a template: more variety, at some 1,000 ns.
    pub fresh: bool,
    /// Chooses everything but the `messageId`.
    pub seed: u64,
    /// The last part of each `messageId`: what sets this run's ids apart from those of other runs.
    pub run: u32,
}

/// Makes valid frames with distinct ids.
#[derive(Debug)]
pub struct FrameMaker {
    spec: FrameSpec,
    templates: Vec<Template>,
    number_at: usize,
    number: RunningNumber,
    timestamp_ms: u64,
    timestamp: [u8; TIMESTAMP_DIGITS],
    rng: fastrand::Rng,
}

#[derive(Debug)]
struct Template {
    destination: usize,
    meal: Meal,
    /// The whole line, newline included; its number and its timestamp are to be patched.
    line: Vec<u8>,
    timestamp_at: usize,
}

impl FrameMaker {
    /// Checks that frames of this length can be made, and renders the templates.
    ///
    /// # Errors
    /// A length too short for the fields, or more template memory than is sensible.
    pub fn new(spec: FrameSpec) -> Result<Self, SimulatorError> {
        let variants = variants(&spec)?;
        let templates = (0..spec.destinations.len())
            .flat_map(|destination| Meal::ALL.map(|meal| (destination, meal)))
            .flat_map(|pair| std::iter::repeat_n(pair, variants))
            .map(|(destination, meal)| Template::empty(destination, meal))
            .collect();
        let mut maker = Self {
            number_at: id_prefix(&spec.server).len(),
            rng: fastrand::Rng::with_seed(spec.seed),
            spec,
            templates,
            number: RunningNumber::zero(),
            timestamp_ms: 0,
            timestamp: [b'0'; TIMESTAMP_DIGITS],
        };
        maker.render_all();
        Ok(maker)
    }

    /// Appends one frame and its newline. Timestamps are taken into 2001 to 2286, the years in
    /// which they have 13 digits.
    #[inline]
    pub fn append(&mut self, out: &mut Vec<u8>, timestamp_ms: u64) {
        if self.number.increment() {
            self.render_all();
        }
        if timestamp_ms != self.timestamp_ms {
            self.set_timestamp(timestamp_ms);
        }
        let index = self.rng.usize(..self.templates.len());
        if self.spec.fresh {
            self.render(index);
        }
        let template = &self.templates[index];
        let start = out.len();
        out.extend_from_slice(&template.line);
        let line = &mut out[start..];
        let digits = self.number.digits();
        line[self.number_at..self.number_at + digits.len()].copy_from_slice(digits);
        let at = template.timestamp_at;
        line[at..at + TIMESTAMP_DIGITS].copy_from_slice(&self.timestamp);
    }

    fn set_timestamp(&mut self, timestamp_ms: u64) {
        self.timestamp_ms = timestamp_ms;
        let mut rest = timestamp_ms.clamp(TIMESTAMP_MS_MIN, TIMESTAMP_MS_MAX);
        for digit in self.timestamp.iter_mut().rev() {
            *digit = ascii_digit(rest % 10);
            rest /= 10;
        }
    }

    fn render_all(&mut self) {
        for index in 0..self.templates.len() {
            self.render(index);
        }
    }

    fn render(&mut self, index: usize) {
        let template = &mut self.templates[index];
        let line = &mut template.line;
        line.clear();
        append_head(
            line,
            &self.spec,
            template.destination,
            template.meal,
            self.number.width,
        );
        template.timestamp_at = line.len() - TIMESTAMP_DIGITS;
        line.extend_from_slice(PAYLOAD_KEY);
        match self.spec.len {
            None => payload::append_natural(line, template.meal, &mut self.rng),
            Some(len) => {
                let room = len - line.len() - 1;
                payload::append_exact(line, template.meal, room, &mut self.rng);
            }
        }
        line.extend_from_slice(b"}\n");
    }
}

impl Template {
    fn empty(destination: usize, meal: Meal) -> Self {
        Self {
            destination,
            meal,
            line: Vec::new(),
            timestamp_at: 0,
        }
    }
}

const PAYLOAD_KEY: &[u8] = b", \"payload\": ";

fn id_prefix(server: &str) -> String {
    format!("{{\"messageId\": \"{server}-")
}

/// All that stands before the payload; number and timestamp are zeros of their width.
fn append_head(out: &mut Vec<u8>, spec: &FrameSpec, destination: usize, meal: Meal, width: usize) {
    let FrameSpec { server, run, .. } = spec;
    let destination = &spec.destinations[destination];
    let (name, priority) = (meal.name(), meal.priority(destination));
    put(
        out,
        format_args!("{}{:0width$}-{run:08x}\"", id_prefix(server), 0),
    );
    put(out, format_args!(", \"sourceServerId\": \"{server}\""));
    put(out, format_args!(", \"destinationId\": \"{destination}\""));
    put(
        out,
        format_args!(", \"messageType\": \"{name}\", \"priority\": {priority}"),
    );
    put(
        out,
        format_args!(", \"timestamp\": {:0TIMESTAMP_DIGITS$}", 0),
    );
}

/// The shortest length that every frame of this spec can have, however far its number runs.
pub(crate) fn len_min(spec: &FrameSpec) -> usize {
    let longest = (0..spec.destinations.len()).map(|destination| {
        let mut head = Vec::new();
        append_head(
            &mut head,
            spec,
            destination,
            Meal::Breakfast,
            NUMBER_DIGITS_MAX,
        );
        head.len()
    });
    longest.max().unwrap_or(0) + PAYLOAD_KEY.len() + PAYLOAD_LEN_MIN + 1
}

/// How many orders to render for each pair of destination and meal.
fn variants(spec: &FrameSpec) -> Result<usize, SimulatorError> {
    let len_min = len_min(spec);
    if let Some(len) = spec.len.filter(|len| *len < len_min) {
        return Err(SimulatorError::FrameTooShort { len, len_min });
    }
    if spec.fresh {
        return Ok(1);
    }
    let pairs = spec.destinations.len() * Meal::ALL.len();
    let bytes = pairs * spec.len.unwrap_or(len_min);
    if bytes > TEMPLATE_BYTES_MAX {
        return Err(SimulatorError::TooManyTemplates {
            bytes,
            bytes_max: TEMPLATE_BYTES_MAX,
        });
    }
    Ok((TEMPLATE_BYTES_AIM / bytes.max(1)).clamp(1, VARIANTS_MAX))
}

/// A decimal counter kept as its digits: counting up costs little more than a byte's increment.
#[derive(Debug)]
struct RunningNumber {
    /// Right-aligned; bytes before the last `width` are zeros.
    bytes: [u8; NUMBER_DIGITS_MAX],
    width: usize,
}

impl RunningNumber {
    fn zero() -> Self {
        Self {
            bytes: [b'0'; NUMBER_DIGITS_MAX],
            width: 1,
        }
    }

    #[inline]
    fn digits(&self) -> &[u8] {
        &self.bytes[NUMBER_DIGITS_MAX - self.width..]
    }

    /// Counts one up; true when the number became a digit wider.
    #[inline]
    fn increment(&mut self) -> bool {
        let mut at = NUMBER_DIGITS_MAX - 1;
        while self.bytes[at] == b'9' {
            self.bytes[at] = b'0';
            at -= 1;
        }
        self.bytes[at] += 1;
        let wider = at < NUMBER_DIGITS_MAX - self.width;
        self.width += usize::from(wider);
        wider
    }
}

fn ascii_digit(value: u64) -> u8 {
    b'0' + u8::try_from(value).expect("a decimal digit is below ten")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const NOW_MS: u64 = 1_693_123_456_789;

    fn spec(len: Option<usize>, fresh: bool) -> FrameSpec {
        let destinations = (1..=4).map(|n| format!("table{n}")).collect();
        FrameSpec {
            server: "server1".into(),
            destinations,
            len,
            fresh,
            seed: 7,
            run: 0xabc1_2345,
        }
    }

    fn lines(maker: &mut FrameMaker, count: usize) -> Vec<String> {
        let mut out = Vec::new();
        (0..count).for_each(|_| maker.append(&mut out, NOW_MS));
        String::from_utf8(out)
            .expect("UTF-8")
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn check(line: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| value[key].as_str().expect("a string").to_owned();
        let destination = text("destinationId");
        let meal = Meal::ALL
            .into_iter()
            .find(|meal| meal.name() == text("messageType"));
        let priority = meal.expect("a known type").priority(&destination);
        assert_eq!(value["priority"], priority);
        assert_eq!(value["timestamp"], NOW_MS);
        assert_eq!(text("sourceServerId"), "server1");
        assert!(destination.starts_with("table") && value["payload"].is_object());
        assert_eq!(value.as_object().expect("an object").len(), 7);
        text("messageId")
    }

    #[test]
    fn every_frame_keeps_the_rules_and_has_its_own_id_and_the_length_asked_for() {
        for (len, fresh) in [(Some(390), false), (Some(390), true), (Some(2000), false)] {
            let mut maker = FrameMaker::new(spec(len, fresh)).expect("a good spec");
            let lines = lines(&mut maker, 2_500);
            assert!(lines.iter().all(|line| Some(line.len()) == len));
            let ids: HashSet<String> = lines.iter().map(|line| check(line)).collect();
            assert_eq!(ids.len(), 2_500);
            assert!(ids.contains("server1-1-abc12345") && ids.contains("server1-2500-abc12345"));
        }
    }

    #[test]
    fn natural_frames_vary_in_length() {
        let mut maker = FrameMaker::new(spec(None, true)).expect("a good spec");
        let lines = lines(&mut maker, 300);
        lines.iter().for_each(|line| drop(check(line)));
        let lengths: HashSet<usize> = lines.iter().map(String::len).collect();
        assert!(lengths.len() > 50 && lengths.iter().all(|len| (200..500).contains(len)));
    }

    #[test]
    fn the_same_spec_gives_the_same_bytes() {
        let mut two = [(); 2].map(|()| FrameMaker::new(spec(Some(390), false)).expect("good"));
        let [one, other] = two.each_mut().map(|maker| lines(maker, 500));
        assert_eq!(one, other);
    }

    #[test]
    fn the_shortest_length_works_and_one_less_is_refused_with_the_shortest_named() {
        let len_min = len_min(&spec(None, false));
        let mut maker = FrameMaker::new(spec(Some(len_min), false)).expect("long enough");
        lines(&mut maker, 100)
            .iter()
            .for_each(|line| drop(check(line)));
        let error = FrameMaker::new(spec(Some(len_min - 1), false)).expect_err("too short");
        assert!(error.to_string().contains(&len_min.to_string()));
    }

    #[test]
    fn the_running_number_carries_and_widens() {
        let mut number = RunningNumber::zero();
        for expected in 1..=12_345_u64 {
            let wider = number.increment();
            assert_eq!(number.digits(), expected.to_string().as_bytes());
            assert_eq!(wider, [10, 100, 1_000, 10_000].contains(&expected));
        }
    }
}
