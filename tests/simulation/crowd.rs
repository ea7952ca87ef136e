//! Strangers: they connect to the engine's listeners, say nothing or half a line, stay, and come again
//! when they are sent away.

use crate::dice::Dice;
use crate::plan::CrowdPlan;
use crate::time::Time;
use crate::wire::{LinkId, Peer, Wire};

/// Who was sent away comes again after this long at most, in ns.
const AWAY_NS_MAX: u64 = 1_000_000_000;

/// What some say.
const HALF_A_LINE: &[u8] = b"{\"messageId\":\"str";

/// All of them.
#[derive(Debug)]
pub struct Crowd {
    wire: Wire,
    time: Time,
    dice: Dice,
    places: Vec<Place>,
    /// They stay, and nobody comes any more.
    is_calm: bool,
}

#[derive(Debug)]
struct Place {
    listener: usize,
    link: Option<LinkId>,
    rests_until_ns: u64,
}

impl Crowd {
    /// Nobody has come yet.
    pub fn new(plan: Option<CrowdPlan>, wire: Wire, time: Time, dice: Dice) -> Self {
        let count = plan.map_or(0, |it| it.strangers);
        let place = |number| Place {
            listener: number % 2,
            link: None,
            rests_until_ns: 0,
        };
        Self {
            wire,
            time,
            dice,
            places: (0..count).map(place).collect(),
            is_calm: false,
        }
    }

    /// Nobody comes any more.
    pub fn calm(&mut self) {
        self.is_calm = true;
    }

    /// One of them looks round.
    pub fn turn(&mut self) {
        if self.places.is_empty() {
            return;
        }
        let now_ns = self.time.ns();
        let at = self.dice.pick(0..=self.places.len() - 1);
        let place = &mut self.places[at];
        match place.link {
            Some(link) => {
                if self.wire.take(link, usize::MAX).is_none() {
                    self.wire.leave(link, true);
                    place.link = None;
                    place.rests_until_ns = now_ns + self.dice.long(0..=AWAY_NS_MAX);
                }
            }
            None if self.is_calm || now_ns < place.rests_until_ns => {}
            None => {
                let listener = place.listener;
                let link = self.wire.connect(Peer::Stranger { listener });
                if listener == 0 && self.dice.chance(800) {
                    self.wire.send(link, HALF_A_LINE);
                }
                place.link = Some(link);
            }
        }
    }
}
