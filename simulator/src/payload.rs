//! The payload of an order: items with quantity and price, the total, a request now and then.
//!
//! Called by `frame` for each template. It knows nothing of the fields around the payload.
//!
//! ```text
//! {"items": [{"name": "Croissant", "quantity": 2, "price": 3.20}], "total": 6.40,
//!  "specialRequest": "no ice"}
//! ```

use std::io::Write as _;

use crate::menu::{Meal, REQUESTS};

const ITEMS_OPEN: &str = "{\"items\": [";
const TOTAL_OPEN: &str = "], \"total\": ";
const REQUEST: &str = "\"specialRequest\": \"";
const REQUEST_CLOSE: &str = "\"}";

/// The shortest payload of an exact length: `{"specialRequest": ""}`.
pub(crate) const PAYLOAD_LEN_MIN: usize = 1 + REQUEST.len() + REQUEST_CLOSE.len();

/// Room left for the digits of a total (`99999999.99`).
const TOTAL_LEN_MAX: usize = 11;

/// All that stands around the items of a payload of an exact length.
const AROUND_ITEMS: usize = ITEMS_OPEN.len()
    + TOTAL_OPEN.len()
    + TOTAL_LEN_MAX
    + ", ".len()
    + REQUEST.len()
    + REQUEST_CLOSE.len();

/// Appends an order as a guest would give it: one to three items, one request in five orders.
pub(crate) fn append_natural(out: &mut Vec<u8>, meal: Meal, rng: &mut fastrand::Rng) {
    let mut items = Items::default();
    for _ in 0..rng.u8(1..=3) {
        items.add(meal, rng, usize::MAX);
    }
    items.append_to(out);
    if rng.u8(..5) == 0 {
        let request = REQUESTS[rng.usize(..REQUESTS.len())];
        put(out, format_args!(", {REQUEST}{request}{REQUEST_CLOSE}"));
    } else {
        out.push(b'}');
    }
}

/// Appends an order of exactly `len` bytes: as many items as fit, and requests that fill the rest.
pub(crate) fn append_exact(out: &mut Vec<u8>, meal: Meal, len: usize, rng: &mut fastrand::Rng) {
    assert!(
        len >= PAYLOAD_LEN_MIN,
        "the frame's shortest length was checked when it was set"
    );
    let end = out.len() + len;
    let mut items = Items::default();
    while items.add(meal, rng, len.saturating_sub(AROUND_ITEMS)) {}
    if items.text.is_empty() {
        out.push(b'{');
    } else {
        items.append_to(out);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(REQUEST.as_bytes());
    append_requests(out, end - REQUEST_CLOSE.len(), rng);
    out.extend_from_slice(REQUEST_CLOSE.as_bytes());
    debug_assert_eq!(out.len(), end);
}

/// Appends requests, one after another, until `out` is `end` bytes long; the last is cut.
fn append_requests(out: &mut Vec<u8>, end: usize, rng: &mut fastrand::Rng) {
    while out.len() < end {
        out.extend_from_slice(REQUESTS[rng.usize(..REQUESTS.len())].as_bytes());
        out.extend_from_slice(b"; ");
    }
    out.truncate(end);
}

/// The items of an order, rendered, and what they cost together.
#[derive(Default)]
struct Items {
    text: Vec<u8>,
    total_cents: u32,
}

impl Items {
    /// Adds one item unless the text would be longer than `len_max`: then it is false.
    fn add(&mut self, meal: Meal, rng: &mut fastrand::Rng, len_max: usize) -> bool {
        let dishes = meal.dishes();
        let dish = &dishes[rng.usize(..dishes.len())];
        let quantity = rng.u32(1..=3);
        let before = self.text.len();
        if before > 0 {
            self.text.extend_from_slice(b", ");
        }
        let (whole, cents) = (dish.price_cents / 100, dish.price_cents % 100);
        put(
            &mut self.text,
            format_args!(
                "{{\"name\": \"{}\", \"quantity\": {quantity}, \"price\": {whole}.{cents:02}}}",
                dish.name
            ),
        );
        let fits = self.text.len() <= len_max;
        if fits {
            self.total_cents += quantity * dish.price_cents;
        } else {
            self.text.truncate(before);
        }
        fits
    }

    /// Appends all but the end of the payload: what follows is a request, or the closing brace.
    fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(ITEMS_OPEN.as_bytes());
        out.extend_from_slice(&self.text);
        let (whole, cents) = (self.total_cents / 100, self.total_cents % 100);
        put(out, format_args!("{TOTAL_OPEN}{whole}.{cents:02}"));
    }
}

/// Formats into a vector.
pub(crate) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a vector cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_payload_has_the_length_asked_for_and_is_an_object() {
        let mut rng = fastrand::Rng::with_seed(1);
        for len in (PAYLOAD_LEN_MIN..600).chain([65_000]) {
            let mut out = b"before".to_vec();
            append_exact(&mut out, Meal::Dinner, len, &mut rng);
            assert_eq!(out.len(), 6 + len);
            let value: serde_json::Value = serde_json::from_slice(&out[6..]).expect("JSON");
            assert!(value.is_object());
        }
    }

    fn number(value: &serde_json::Value) -> f64 {
        value.as_f64().expect("a number")
    }

    #[test]
    fn a_natural_payload_adds_up() {
        let mut rng = fastrand::Rng::with_seed(2);
        let mut requests = 0;
        for _ in 0..200 {
            let mut out = Vec::new();
            append_natural(&mut out, Meal::Lunch, &mut rng);
            let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
            let items = value["items"].as_array().expect("items");
            let sum: f64 = items
                .iter()
                .map(|item| number(&item["quantity"]) * number(&item["price"]))
                .sum();
            assert!((1..=3).contains(&items.len()));
            assert!((sum - number(&value["total"])).abs() < 0.001);
            requests += usize::from(value.get("specialRequest").is_some());
        }
        assert!(
            (10..100).contains(&requests),
            "requests come now and then: {requests} of 200"
        );
    }
}
