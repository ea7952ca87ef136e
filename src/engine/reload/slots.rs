//! Which number each source has at ingest: it keeps it while the settings name it.

use crate::config::Source;
use crate::ingest::reload::SourceChange;
use crate::nats;

/// The address of each slot's source; `None`: the slot is free.
#[derive(Debug)]
pub(super) struct Slots(Vec<Option<String>>);

impl Slots {
    /// At a start the places in the settings are the numbers.
    pub(super) fn new(sources: &[Source]) -> Self {
        Self(sources.iter().map(|it| Some(it.address.clone())).collect())
    }

    /// Gives up the slots of sources that go, and gives some to those that come; returns what ingest is to
    /// do.
    pub(super) fn change(&mut self, before: &[Source], after: &[Source]) -> Vec<SourceChange> {
        let mut changes = Vec::new();
        let stays = |it: &&Source| after.iter().any(|other| is_same(it, other));
        for source in before.iter().filter(|it| !stays(it)) {
            if let Some(slot) = self.find(&source.address) {
                self.0[slot] = None;
                changes.push(SourceChange::Removed { slot });
            }
        }
        for source in after {
            match before.iter().find(|it| is_same(it, source)) {
                None => changes.push(self.add(source)),
                Some(former) if former.ack != source.ack => {
                    if let Some(slot) = self.find(&source.address) {
                        let ack = source.ack;
                        changes.push(SourceChange::Ack { slot, ack });
                    }
                }
                Some(_) => {}
            }
        }
        changes
    }

    /// The slots of these sources.
    pub(super) fn of(&self, sources: &[Source]) -> Vec<usize> {
        let slots = sources.iter().map(|it| self.find(&it.address));
        slots.map(|it| it.expect("each source has one")).collect()
    }

    fn find(&self, address: &str) -> Option<usize> {
        self.0.iter().position(|it| it.as_deref() == Some(address))
    }

    fn add(&mut self, source: &Source) -> SourceChange {
        let free = self.0.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        });
        self.0[slot] = Some(source.address.clone());
        SourceChange::Added {
            slot,
            address: source.address.clone(),
            ack: source.ack,
            is_within: source.nats.servers.is_some(),
        }
    }
}

/// Whether a source keeps its connection. One at NATS has a connection of its own settings.
fn is_same(one: &Source, other: &Source) -> bool {
    let is_at_nats = one.nats.servers.is_some();
    one.address == other.address && (!is_at_nats || nats::of_source(one) == nats::of_source(other))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config;

    fn sources(addresses: &[(u8, bool)]) -> Vec<Source> {
        let of = |(number, ack): &(u8, bool)| Source {
            ack: *ack,
            ..Source::to(format!("host:{number}"))
        };
        addresses.iter().map(of).collect()
    }

    #[test]
    fn a_slot_is_given_to_the_next_one_behind_its_removal() {
        let (before, after) = (
            sources(&[(1, false), (2, false)]),
            sources(&[(2, true), (3, true)]),
        );
        let mut slots = Slots::new(&before);
        let changes = slots.change(&before, &after);
        let expected = [
            SourceChange::Removed { slot: 0 },
            SourceChange::Ack { slot: 1, ack: true },
            SourceChange::Added {
                slot: 0,
                address: "host:3".to_owned(),
                ack: true,
                is_within: false,
            },
        ];
        assert_eq!(changes, expected);
        assert_eq!(slots.of(&after), [1, 0]);
        assert_eq!(slots.change(&after, &after), []);
    }

    #[test]
    fn a_stream_that_is_read_otherwise_is_another_source() {
        let of = |subject: &str| {
            let text = format!(
                "source = [{{ nats = 'nats://h', stream = 'S', durable = 'd', subject = '{subject}' }}]"
            );
            config::parse("x.toml", &text, &[]).expect("right").sources
        };
        let (before, after) = (of("a.>"), of("b.>"));
        let mut slots = Slots::new(&before);
        assert_eq!(slots.change(&before, &before), []);
        let expected = [
            SourceChange::Removed { slot: 0 },
            SourceChange::Added {
                slot: 0,
                address: "nats://h:4222/S/d".to_owned(),
                ack: true,
                is_within: true,
            },
        ];
        assert_eq!(slots.change(&before, &after), expected);
        assert_eq!(slots.of(&after), [0]);
    }

    proptest! {
        /// The naive model is a table that does what ingest is told.
        #[test]
        fn what_ingest_is_told_leaves_the_sources_of_the_last_settings(
            steps in prop::collection::vec(
                prop::collection::btree_map(0..8_u8, any::<bool>(), 0..6), 1..12,
            ),
        ) {
            let mut before = Vec::new();
            let mut slots = Slots::new(&before);
            let mut table: Vec<Option<(String, bool)>> = Vec::new();
            for step in steps {
                let after = sources(&step.into_iter().collect::<Vec<_>>());
                for change in slots.change(&before, &after) {
                    match change {
                        SourceChange::Removed { slot } => {
                            prop_assert!(table[slot].take().is_some());
                        }
                        SourceChange::Added { slot, address, ack, .. } => {
                            prop_assert!(slot <= table.len());
                            if slot == table.len() {
                                table.push(None);
                            }
                            prop_assert!(table[slot].replace((address, ack)).is_none());
                        }
                        SourceChange::Ack { slot, ack } => {
                            table[slot].as_mut().expect("it is there").1 = ack;
                        }
                    }
                }
                for (source, slot) in after.iter().zip(slots.of(&after)) {
                    prop_assert_eq!(&table[slot], &Some((source.address.clone(), source.ack)));
                }
                prop_assert_eq!(table.iter().flatten().count(), after.len());
                before = after;
            }
            prop_assert!(table.len() <= 8);
        }
    }
}
